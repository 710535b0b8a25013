/** One page of a listing, out of all entries of a store: sorted, folded and cut, nothing clever. */

import { compareKeys, folderOf, inRange } from "../../../src/keys.ts";
import type { Entry, ListedEntry, Page, Range } from "../../../src/kv.ts";
import type { ListOptions } from "../../../src/kv.ts";
import { PAGE_ENTRIES_DEFAULT, type Limits } from "../../../src/limits.ts";

/** A line of a listing: an entry, or the folder that stands for several. */
interface Item {
  readonly text: string;
  readonly entry?: Entry;
}

/** What a listing shows of entries, which may come in any order. */
export function pageOf(
  all: Iterable<Entry>,
  range: Range,
  options: ListOptions,
  limits: Limits,
): Page & { readonly next?: string } {
  const found = [...all].filter(({ key }) => inRange(range, key));
  if (options.count) return { entries: [], count: found.length, more: false };

  const { after, reverse, delimiter, limit = PAGE_ENTRIES_DEFAULT } = options;
  const direction = reverse ? -1 : 1;
  const items = itemsOf(found, range, delimiter)
    .toSorted((a, b) => direction * compareKeys(a.text, b.text))
    .filter(({ text }) => after === undefined || direction * compareKeys(text, after) > 0);

  const shown: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    if (shown.length === limit || bytes > limits.pageBytesMax) break;
    shown.push(item);
    if (!options.keys) bytes += item.entry?.value.length ?? 0;
  }
  const entries = shown.flatMap(({ entry }) => (entry === undefined ? [] : [entry]));
  const folders = shown.flatMap(({ text, entry }) => (entry === undefined ? [text] : []));
  const more = shown.length < items.length;
  return {
    entries: options.keys ? entries.map(withoutValue) : entries,
    ...(delimiter === undefined ? undefined : { folders }),
    more,
    ...(more ? { next: shown.at(-1)!.text } : undefined),
  };
}

export function withoutValue(entry: Entry): ListedEntry {
  const { value: _, ...info } = entry;
  return info;
}

// --- internal ---

/** Each entry, or its folder; each folder once. */
function itemsOf(found: readonly Entry[], range: Range, delimiter: string | undefined): Item[] {
  const items = new Map<string, Item>();
  for (const entry of found) {
    const folder = delimiter === undefined ? undefined : folderOf(range, delimiter, entry.key);
    const item = folder === undefined ? { text: entry.key, entry } : { text: folder };
    items.set(item.text, item);
  }
  return [...items.values()];
}
