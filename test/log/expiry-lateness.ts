/**
 * How late keys expire while very many live ones have deadlines spread over a minute. As a script, over
 * the whole minute: `bun test/log/expiry-lateness.ts [KEYS]`.
 */

import type { Store } from "../../src/kv.ts";
import { openLog } from "../../src/log/engine.ts";
import { putFor, write } from "../support/stores.ts";
import { temporaryDirectory } from "../support/temporary.ts";

export interface Lateness {
  /** Expiries that were seen. */
  readonly expired: number;
  /** Milliseconds from the deadline to the event: the earliest, the middle, and the latest ones. */
  readonly earliest: number;
  readonly median: number;
  readonly p99: number;
  readonly latest: number;
}

/** Milliseconds over which deadlines are spread. */
const SPREAD_MS = 60_000;
/** Milliseconds before the first deadline: time to put all keys. */
const LEAD_MS = 2_000;

/** Puts keys, and follows their expiries for `followMs` from the first deadline on. */
export async function measureLateness(
  store: Store,
  keys: number,
  followMs: number,
): Promise<Lateness> {
  const start = Date.now() + LEAD_MS;
  const { revision } = await store.status();
  await putAll(store, keys, start);
  const deadlines = new Map<string, number>();
  const late: number[] = [];
  const end = start + followMs;
  const { promise: stopped, abort } = stopAt(end);
  for await (const { commits } of store.changes(revision + 1, { signal: abort.signal })) {
    const now = Date.now();
    for (const { events } of commits) {
      for (const event of events) {
        if (event.type === "put") deadlines.set(event.key, event.expiresAt!);
        else late.push(now - deadlines.get(event.key)!);
      }
    }
  }
  await stopped;
  late.sort((a, b) => a - b);
  const at = (part: number): number => late[Math.floor((late.length - 1) * part)]!;
  return { expired: late.length, earliest: at(0), median: at(0.5), p99: at(0.99), latest: at(1) };
}

// --- internal ---

async function putAll(store: Store, keys: number, start: number): Promise<void> {
  const batch = 5_000;
  for (let from = 0; from < keys; from += batch) {
    const size = Math.min(batch, keys - from);
    const untilStart = start - Date.now();
    const then = Array.from({ length: size }, (_, at) => {
      const offset = Math.floor(((from + at) / keys) * SPREAD_MS);
      return putFor(`key/${from + at}`, "v", Math.max(1, untilStart + offset));
    });
    await write(store, ...then);
  }
}

function stopAt(time: number): { promise: Promise<void>; abort: AbortController } {
  const abort = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(
    () => {
      abort.abort();
      resolve();
    },
    Math.max(0, time - Date.now()),
  );
  return { promise, abort };
}

if (import.meta.main) {
  const directory = temporaryDirectory();
  const store = await openLog({ directory: directory.path });
  const keys = Number(process.argv[2] ?? 100_000);
  process.stdout.write(
    `${JSON.stringify(await measureLateness(store, keys, SPREAD_MS + 1_000))}\n`,
  );
  await store.close();
  directory.remove();
}
