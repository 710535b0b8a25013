/** Scans as they are read: what they hand over, made into entries. */

import { expect } from "bun:test";
import type { EntrySink } from "../../src/entry-sink.ts";
import type { ListedEntry, Range, ScanOptions, ScanResult, Store } from "../../src/kv.ts";

/** Keeps what it is given, and is full with so many entries. */
export class EntryCollector implements EntrySink {
  entries: ListedEntry[] = [];
  clears = 0;
  readonly #most: number;

  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most;
  }

  get isFull(): boolean {
    return this.entries.length >= this.#most;
  }

  clear(): void {
    this.clears++;
    this.entries = [];
  }

  entry(...given: Parameters<EntrySink["entry"]>): void {
    const [key, keyEnd, contentType, revision, createRevision, version, deadline] = given;
    const [value, start, end] = given.slice(7) as [Uint8Array?, number?, number?];
    this.entries.push({
      key: Buffer.from(key.subarray(0, keyEnd)).toString(),
      ...(value === undefined ? undefined : { value: value.slice(start, end) }),
      contentType,
      revision,
      createRevision,
      version,
      ...(deadline === 0 ? undefined : { expiresAt: deadline }),
    });
  }
}

/** One scan, of no more than `most` entries. */
export async function scanOnce(
  store: Store,
  range: Range,
  options: ScanOptions = {},
  most?: number,
): Promise<ScanResult & { readonly entries: readonly ListedEntry[] }> {
  const sink = new EntryCollector(most);
  const result = await store.scan!(range, options, sink);
  return { ...result, entries: sink.entries };
}

/** All entries of a range at one revision, no more than `most` with each scan. */
export async function scanAll(
  store: Store,
  range: Range,
  options: ScanOptions = {},
  most?: number,
): Promise<ListedEntry[]> {
  const all: ListedEntry[] = [];
  let { revision, next, entries } = await scanOnce(store, range, options, most);
  for (;;) {
    all.push(...entries);
    expect(entries.length).toBeLessThanOrEqual(most ?? Number.POSITIVE_INFINITY);
    if (next === undefined) return all;
    expect(entries.at(-1)?.key).toBe(next);
    const then = await scanOnce(store, range, { ...options, after: next, revision }, most);
    expect(then.revision).toBe(revision);
    ({ next, entries } = then);
  }
}
