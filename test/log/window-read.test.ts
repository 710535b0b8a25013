/** Listings of which many values are read at once: they are the same as values that are read alone. */

import { expect, test } from "bun:test";
import type { ListedEntry, ListOptions, Operation } from "../../src/kv.ts";
import type { LogStore } from "../../src/log/engine.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn } from "../support/logs.ts";
import { random, randomSeed, withSeed, type Random } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";
import { scanOnce } from "../support/scans.ts";
import { del, failure, put, write } from "../support/stores.ts";

/** No value in memory, so that all are read; merges as often as can be. */
const ALL_READ = { valueCacheBytesMax: 0, recentBytesMax: 0 };
const SMALL = { ...ALL_READ, segmentBytesMax: 20_000, mergeBytesMin: 1 };

test("neighbours in the log are read with few reads", async () => {
  const { disk, store } = await begin(3_000);
  const right = Array.from({ length: 3_000 }, (_, at) => nameOf(at));
  let reads = 0;
  disk.lookFault = ({ kind }) => {
    if (kind === "read") reads++;
    return undefined;
  };
  for (const reverse of [false, true]) {
    reads = 0;
    const { entries } = await store.list({}, { limit: 3_000, reverse });
    expect(entries.map(({ key }) => key)).toEqual(reverse ? right.toReversed() : right);
    expect(reads).toBeLessThan(40);
  }
  await store.close();
});

test("a damaged record between others fails only what reads it, and is named", async () => {
  const { disk, store } = await begin(100);
  const bytes = disk.bytes("0000000001.log");
  const at = Buffer.from(bytes).indexOf(`value of ${nameOf(50)}`);
  bytes[at]! ^= 1;
  const error = await failure(() => store.list({}), "internal");
  expect(error.message).toMatch(/^0000000001\.log is damaged at offset \d+: .*checksum/);
  expect((await store.list({ end: nameOf(50) })).entries).toHaveLength(50);
  expect((await store.list({ start: nameOf(51) })).entries).toHaveLength(49);
  bytes[at]! ^= 1;
  expect((await store.list({})).entries).toHaveLength(100);
  await store.close();
});

test("records that are read too short or not at all are read again alone", async () => {
  const { disk, store } = await begin(50);
  const right = await store.list({});
  disk.readBytesMax = 1_000;
  expect(await store.list({})).toEqual(right);
  disk.readBytesMax = Infinity;
  let isFirst = true;
  disk.lookFault = ({ kind }) => {
    const code = kind === "read" && isFirst ? "EIO" : undefined;
    isFirst = false;
    return code;
  };
  expect((await store.list({ start: nameOf(1) })).entries).toEqual(right.entries.slice(1));
  await store.close();
});

test(
  "listings have what single reads have, whatever is put, merged and forgotten meanwhile",
  () =>
    withSeed(randomSeed(), async ({ seed }) => {
      for (let round = 0; round < rounds(3); round++) await compare(random(seed + round));
    }),
  60_000,
);

// --- internal ---

const KEYS = 400;

function nameOf(at: number): string {
  return `key/${String(at).padStart(5, "0")}`;
}

async function begin(count: number) {
  const disk = new FakeDisk();
  const store = await openOn(disk, ALL_READ);
  const names = Array.from({ length: count }, (_, at) => nameOf(at));
  await write(store, ...names.map((key) => put(key, `value of ${key}`)));
  return { disk, store };
}

/** Changes keys, in order or not, and holds listings against single reads in between. */
async function compare(chance: Random): Promise<void> {
  const store = (await openOn(new FakeDisk(), SMALL)) as LogStore;
  for (let step = 0; step < 30; step++) {
    await write(store, ...someChanges(chance));
    if (chance.oneIn(4)) await store.compact(store.status().revision);
    if (chance.oneIn(4)) await store.maintained();
    await compareOnce(store, chance);
  }
  await store.close();
}

/** Changes of a run of keys, or of some here and there, with values of very different sizes. */
function someChanges(chance: Random): Operation[] {
  const isRun = !chance.oneIn(3);
  const first = chance.below(KEYS);
  const sizes = chance.pick([[0, 1, 30], [100], [10, 3_000], [1, 1, 1, 1, 1, 1, 1, 1, 1, 140_000]]);
  const numbers = new Set<number>();
  for (let at = 0; at < 40; at++) numbers.add(isRun ? (first + at) % KEYS : chance.below(KEYS));
  return Array.from(numbers, (number): Operation => {
    if (chance.oneIn(10)) return del(nameOf(number));
    return put(nameOf(number), `${number}`.repeat(chance.pick(sizes)).slice(0, 140_000));
  });
}

async function compareOnce(store: LogStore, chance: Random): Promise<void> {
  const { revision, oldest } = store.status();
  const at = Math.max(oldest, revision - chance.below(5));
  const isPast = chance.oneIn(2);
  const [start, end] = [chance.below(KEYS), chance.below(KEYS)].sort((a, b) => a - b);
  const range = chance.oneIn(3) ? {} : { start: nameOf(start!), end: nameOf(end! + 1) };
  const options: ListOptions = {
    reverse: chance.oneIn(2),
    limit: chance.pick([1, 7, 100, 1_000]),
    ...(isPast && { revision: at }),
  };
  const page = await store.list(range, options);
  const keys = await store.list(range, { ...options, keys: true });
  const scanned = await scanOnce(store, range, options);
  const alone: (ListedEntry | undefined)[] = [];
  for (const { key } of keys.entries.slice(0, page.entries.length)) {
    alone.push((await store.get(key, isPast ? { revision: at } : {})).entry);
  }
  expect(page.entries.map(shortened)).toEqual(alone.map(shortened));
  if (!page.more) expect(page.entries).toHaveLength(keys.entries.length);
  // A scan has no bound of bytes.
  expect(scanned.entries.map(({ key }) => key)).toEqual(keys.entries.map(({ key }) => key));
  const paged = scanned.entries.slice(0, page.entries.length);
  expect(paged.map(shortened)).toEqual(page.entries.map(shortened));
}

/** With a hash in the place of the value, which is much faster to compare. */
function shortened(entry: ListedEntry | undefined): unknown {
  return { ...entry, value: entry?.value && Bun.hash(entry.value) };
}
