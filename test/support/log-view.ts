/** All that a log shows, in a form that compares and prints well: of an open store, and as read. */

import type { Store } from "../../src/kv.ts";
import type { FakeDisk } from "./fake-disk.ts";
import type { LogContent } from "./format/content.ts";
import type { Files } from "./format/reader.ts";
import { changesBetween, listAll, shown, shownCommits } from "./stores.ts";

export interface LogView {
  readonly store: string;
  readonly revision: number;
  readonly oldest: number;
  readonly keys: number;
  /** Those above the oldest revision. */
  readonly commits: readonly unknown[];
  /** The newest state, in the order of keys. */
  readonly entries: readonly unknown[];
}

export async function viewOfStore(store: Store): Promise<LogView> {
  const { store: id, revision, oldest, keys } = await store.status();
  const commits = shownCommits(await changesBetween(store, oldest + 1, revision));
  const entries = (await listAll(store, {})).map(shown);
  return { store: id, revision, oldest, keys, commits, entries };
}

export function viewOfContent(content: LogContent): LogView {
  const { store, revision, oldest } = content;
  const entries = [...content.entries.values()]
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
    .map(shown);
  const commits = shownCommits(content.commits.filter(({ revision }) => revision > oldest));
  return { store, revision, oldest, keys: entries.length, commits, entries };
}

/** Copies of the files of a disk, by name. */
export function filesOf(disk: FakeDisk): Files {
  return new Map(disk.list().map((name) => [name, disk.bytes(name).slice()]));
}
