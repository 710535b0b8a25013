/** All that a log shows, in a form that compares and prints well: of an open store, and as read. */

import type { Store } from "../../src/kv.ts";
import type { FakeDisk } from "./fake-disk.ts";
import type { LogContent } from "./format/content.ts";
import type { Files } from "./format/reader.ts";
import { changesBetween, listAll, shown } from "./stores.ts";

type Shown = Record<string, unknown> & { readonly key: string };

export interface LogView {
  readonly store: string;
  readonly revision: number;
  readonly oldest: number;
  readonly keys: number;
  /** Those above the oldest revision. */
  readonly commits: { readonly revision: number; readonly events: Shown[] }[];
  /** The newest state, in the order of keys. */
  readonly entries: Shown[];
}

export async function viewOfStore(store: Store): Promise<LogView> {
  const { store: id, revision, oldest, keys } = await store.status();
  const changes = await changesBetween(store, oldest + 1, revision);
  const commits = changes.map(({ revision, events }) => ({ revision, events: events.map(named) }));
  const entries = (await listAll(store, {})).map(named);
  return { store: id, revision, oldest, keys, commits, entries };
}

export function viewOfContent(content: LogContent): LogView {
  const { store, revision, oldest } = content;
  const entries = [...content.entries.values()]
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
    .map(named);
  const commits = content.commits
    .filter(({ revision }) => revision > oldest)
    .map(({ revision, events }) => ({ revision, events: events.map(named) }));
  return { store, revision, oldest, keys: entries.length, commits, entries };
}

/** Copies of the files of a disk, by name. */
export function filesOf(disk: FakeDisk): Files {
  return new Map(disk.list().map((name) => [name, disk.bytes(name).slice()]));
}

// --- internal ---

function named(item: Parameters<typeof shown>[0]): Shown {
  return { ...shown(item), key: item.key };
}
