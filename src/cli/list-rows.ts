/** The rows of a listing, page by page at one revision: entries and folders in one order. */

import type { KvClient } from "../client/index.ts";
import { compareKeys, type Range } from "../keys.ts";
import type { ListedEntry } from "../kv.ts";

/** Keys with a common beginning, up to and with the delimiter. */
export interface Folder {
  readonly folder: string;
  readonly value?: never;
}

export type ListRow = ListedEntry | Folder;

export function isFolder(row: ListRow): row is Folder {
  return "folder" in row;
}

interface ListRowsOptions {
  /** Rows at most; all when left out. */
  readonly limit?: number | undefined;
  readonly revision?: number | undefined;
  readonly delimiter?: string | undefined;
  readonly reverse?: boolean | undefined;
  readonly keys?: boolean | undefined;
}

export async function* listRows(
  client: KvClient,
  range: Range,
  { limit: left = Infinity, revision, ...shape }: ListRowsOptions,
): AsyncGenerator<ListRow, void> {
  let after: string | undefined;
  do {
    const limit = Math.min(left, PAGE_ROWS);
    const page = await client.page(range, { ...shape, limit, revision, after });
    const rows = mergeRows(page.entries, page.folders ?? [], shape.reverse === true);
    yield* rows;
    left -= rows.length;
    after = page.next;
    revision = page.revision;
  } while (after !== undefined && left > 0);
}

/** Entries and folders in one order, which each of them is in already. */
export function mergeRows(
  entries: readonly ListedEntry[],
  folders: readonly string[],
  reverse: boolean,
): ListRow[] {
  const sign = reverse ? -1 : 1;
  const rows: ListRow[] = [];
  let at = 0;
  for (const entry of entries) {
    while (at < folders.length && sign * compareKeys(folders[at]!, entry.key) < 0) {
      rows.push({ folder: folders[at++]! });
    }
    rows.push(entry);
  }
  return rows.concat(folders.slice(at).map((folder) => ({ folder })));
}

// --- internal ---

const PAGE_ROWS = 1_000;
