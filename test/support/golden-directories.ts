/**
 * The golden directories in `test/fixtures`: logs as a kv once wrote them, with all that they must
 * show for ever. Nothing writes to them; `make-golden.ts` adds new ones.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Store } from "../../src/kv.ts";
import { FakeDisk } from "./fake-disk.ts";
import type { Files } from "./format/reader.ts";
import { GOLDEN_NOW } from "./golden.ts";
import { viewOfStore } from "./log-view.ts";
import { listAll, shown } from "./stores.ts";

export interface GoldenDirectory {
  readonly name: string;
  readonly files: Files;
  /** The time at which nothing more expires. */
  readonly now: number;
  /** What `goldenShown` answered when it was made; the first directory has a form of its own. */
  readonly shown: unknown;
}

export const FIXTURES = join(import.meta.dir, "../fixtures");
/** What it shows, beside its files. */
export const EXPECTED_FILE = "expected.json";

export const goldenDirectories: readonly GoldenDirectory[] = goldensOf("format-");
/** The same of copies of stores: files, and what the store shows that is restored from them. */
export const goldenCopies: readonly GoldenDirectory[] = goldensOf("copies-");

/** A disk with these files. */
export function diskOf(files: Files): FakeDisk {
  const disk = new FakeDisk();
  for (const [name, bytes] of files) disk.place(name, bytes);
  return disk;
}

/** All that a store shows: its commits, the state at each of them, and each key's history. */
export async function goldenShown(store: Store) {
  const view = await viewOfStore(store);
  const revisions = view.commits.map(({ revision }) => revision);
  const states: unknown[] = [];
  for (const revision of [view.oldest, ...revisions]) {
    const entries = await listAll(store, {}, { revision });
    states.push(entries.map((entry) => [entry.key, entry.revision]));
  }
  const keys = new Set(view.commits.flatMap(({ events }) => events.map(({ key }) => key)));
  for (const { key } of view.entries) keys.add(key);
  const histories: unknown[] = [];
  for (const key of keys) {
    const { entries } = await store.history(key);
    histories.push([key, entries.map(shown)]);
  }
  return { ...view, states, histories };
}

// --- internal ---

function goldensOf(prefix: string): GoldenDirectory[] {
  const names = readdirSync(FIXTURES).filter((name) => name.startsWith(prefix));
  return names.toSorted().map((name) => {
    const path = join(FIXTURES, name);
    const names = readdirSync(path).filter((file) => file !== EXPECTED_FILE);
    const files = names
      .toSorted()
      .map((file) => [file, new Uint8Array(readFileSync(join(path, file)))] as const);
    const expected = JSON.parse(readFileSync(join(path, EXPECTED_FILE), "utf8"));
    const { now = GOLDEN_NOW, shown } = expected;
    return { name, files: new Map(files), now, shown };
  });
}
