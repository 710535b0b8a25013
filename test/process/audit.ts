/** Reads all that a running server has, and holds it against the ledger. */

import { openRemoteStore } from "../../src/client/remote-store.ts";
import { KvError } from "../../src/errors.ts";
import { commitToJson, entryToJson, type JsonEntry } from "../../src/json.ts";
import type { Store } from "../../src/kv.ts";
import { Fault, type Ledger } from "./ledger.ts";

/** Brings the ledger up to the store's revision at the moment. Resolves with that revision. */
export async function audit(ledger: Ledger, url: string): Promise<number> {
  const store = await openRemoteStore(url);
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await auditOnce(ledger, store);
      } catch (error) {
        // History goes by itself, in the middle of an audit too.
        if (!isCompacted(error) || attempt === ATTEMPTS) throw error;
      }
    }
  } finally {
    await store.close();
  }
}

// --- internal ---

const ATTEMPTS = 20;

async function auditOnce(ledger: Ledger, store: Store): Promise<number> {
  const { revision, oldest } = await store.status();
  if (revision < ledger.known) {
    throw new Fault(`the store is at revision ${revision}, and ${ledger.known} was known`);
  }
  if (oldest < ledger.oldest) {
    throw new Fault(`the oldest revision is ${oldest}, and was ${ledger.oldest}`);
  }
  ledger.oldest = oldest;
  if (await readCommits(ledger, store, revision)) {
    const at = ledger.through;
    ledger.checkState(await readState(store, at));
    return at;
  }
  ledger.takeState(await readState(store, revision), revision);
  return revision;
}

/** False where history is gone. */
async function readCommits(ledger: Ledger, store: Store, revision: number): Promise<boolean> {
  if (ledger.through >= revision) return true;
  try {
    for await (const { commits, through } of store.changes(ledger.through + 1)) {
      for (const commit of commits) ledger.apply(commitToJson(commit));
      ledger.pass(through);
      if (through >= revision) return true;
    }
  } catch (error) {
    if (!isCompacted(error)) throw error;
  }
  return false;
}

async function readState(store: Store, revision: number): Promise<JsonEntry[]> {
  const entries: JsonEntry[] = [];
  let after: string | undefined;
  do {
    const page = await store.list({}, { revision, limit: 10_000, after });
    entries.push(...page.entries.map(entryToJson));
    after = page.next;
  } while (after !== undefined);
  return entries;
}

function isCompacted(error: unknown): boolean {
  return error instanceof KvError && error.code === "compacted";
}
