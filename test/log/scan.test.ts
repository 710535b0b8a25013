/** Scans: what is theirs alone beside what they have in common with listings. */

import { describe, expect, test } from "bun:test";
import type { Range, Store } from "../../src/kv.ts";
import { READ_SLICE_MS } from "../../src/limits.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { openOn } from "../support/logs.ts";
import { EntryCollector, scanAll, scanOnce } from "../support/scans.ts";
import { del, failure, put, putFor, write } from "../support/stores.ts";

async function begin(count: number, time = new FakeTime()) {
  const disk = new FakeDisk();
  const store = await openOn(disk, { clock: time.clock, timer: time.timer, valueCacheBytesMax: 0 });
  const names = Array.from({ length: count }, (_, at) => nameOf(at));
  if (count > 0) await write(store, ...names.map((key) => put(key, `value of ${key}`)));
  return { disk, store, time };
}

function nameOf(at: number): string {
  return `key/${String(at).padStart(5, "0")}`;
}

/** Takes so long over every 32nd entry that the turn of the scan is over. */
function slowSink(most?: number): EntryCollector {
  const sink = new EntryCollector(most);
  const take = sink.entry.bind(sink);
  sink.entry = (...entry) => {
    take(...entry);
    const until = performance.now() + READ_SLICE_MS + 1;
    if (sink.entries.length % 32 === 0) while (performance.now() < until);
  };
  return sink;
}

async function keysOf(store: Store, range: Range, ...rest: [object?, number?]): Promise<string[]> {
  return (await scanAll(store, range, ...rest)).map(({ key }) => key);
}

describe("a scan", () => {
  test("hands over what a list has, with values and without", async () => {
    const { store } = await begin(100);
    await write(store, put("é", new Uint8Array([0xff, 0]), "image/png"), del(nameOf(5)));
    await write(store, putFor(nameOf(7), "", 1_000));
    const { entries, revision } = await store.list({});
    expect(await scanOnce(store, {})).toEqual({ revision, entries });
    expect(await scanAll(store, {}, {}, 7)).toEqual([...entries]);
    const bare = await store.list({}, { keys: true });
    expect(await scanAll(store, {}, { keys: true }, 1)).toEqual([...bare.entries]);
    await store.close();
  });

  test("is over where the range is, however many keys there are behind it", async () => {
    const { store } = await begin(5_000);
    const names = Array.from({ length: 5_000 }, (_, at) => nameOf(at));
    for (const count of [1, 15, 16, 17, 48, 1_000, 1_023, 3_000]) {
      const [low, high] = [{ end: nameOf(count) }, { start: nameOf(5_000 - count) }];
      expect(await keysOf(store, low)).toEqual(names.slice(0, count));
      expect(await keysOf(store, low, { reverse: true }, 100)).toEqual(
        names.slice(0, count).toReversed(),
      );
      expect(await keysOf(store, high, {}, 100)).toEqual(names.slice(-count));
      expect(await keysOf(store, high, { reverse: true })).toEqual(
        names.slice(-count).toReversed(),
      );
    }
    expect(await keysOf(store, { prefix: "key/0012" })).toEqual(names.slice(120, 130));
    expect(await keysOf(store, { key: nameOf(9) })).toEqual([nameOf(9)]);
    const range = { start: nameOf(10), end: nameOf(20) };
    expect(await keysOf(store, range, { after: "a" })).toEqual(names.slice(10, 20));
    expect(await keysOf(store, range, { after: nameOf(15) })).toEqual(names.slice(16, 20));
    expect(await keysOf(store, range, { after: "z" })).toEqual([]);
    const back = names.slice(10, 20).toReversed();
    expect(await keysOf(store, range, { after: "z", reverse: true })).toEqual(back);
    expect(await keysOf(store, range, { after: "a", reverse: true })).toEqual([]);
    expect(await keysOf(store, { prefix: "none" })).toEqual([]);
    await store.close();
  });

  test("ends at a limit, and says where to go on", async () => {
    const { store } = await begin(3_000);
    const { entries, next } = await scanOnce(store, {}, { limit: 2_500 });
    expect([entries.length, next]).toEqual([2_500, nameOf(2_499)]);
    const rest = await scanOnce(store, {}, { limit: 500, after: next! });
    expect([rest.entries.length, rest.next]).toEqual([500, nameOf(2_999)]);
    expect((await scanOnce(store, {}, { after: rest.next! })).entries).toEqual([]);
    await store.close();
  });

  test("says where to go on also when its turn was over with the last entry", async () => {
    const { store } = await begin(40);
    const sink = slowSink(32);
    const { next } = await store.scan!({}, {}, sink);
    expect([sink.entries.length, next]).toEqual([32, nameOf(31)]);
    await store.close();
  });

  test("finds entries of the past, however long that takes", async () => {
    const { store } = await begin(3);
    // It is far to what the key was, from both sides.
    for (let at = 0; at < 100; at++) await write(store, put("key/~", "x".repeat(17_000)));
    await write(store, del("key/~"));
    const { entries, revision } = await store.list({});
    for (let at = 0; at < 200; at++) {
      await write(store, put(nameOf(1), `later ${at}`), at % 2 === 0 ? put("key/+") : del("key/+"));
    }
    await write(store, del(nameOf(0)), put("a", ""));
    expect(await scanAll(store, {}, { revision })).toEqual([...entries]);
    expect(await scanAll(store, {}, { revision, reverse: true }, 1)).toEqual(entries.toReversed());
    const second = await scanOnce(store, {}, { revision, limit: 1, after: nameOf(0) });
    expect([second.entries, second.next]).toEqual([[entries[1]!], nameOf(1)]);
    expect(await keysOf(store, {}, { revision, keys: true })).toEqual([0, 1, 2].map(nameOf));
    expect((await scanOnce(store, {}, { revision, keys: true })).entries[1]!.value).toBeUndefined();
    await store.close();
  });

  test("shows no key that is overdue, and begins anew when it has met one", async () => {
    const { store, time } = await begin(50);
    await write(store, putFor(nameOf(20), "", 1_000));
    const { revision } = await store.status();
    time.now += 1_000;
    const sink = new EntryCollector();
    const scanned = await store.scan!({}, {}, sink);
    expect(scanned.revision).toBe(revision + 1);
    expect(sink.clears).toBe(2);
    const right = Array.from({ length: 50 }, (_, at) => nameOf(at)).toSpliced(20, 1);
    expect(sink.entries.map(({ key }) => key)).toEqual(right);
    // At its revision it is still there: the clock does not count.
    expect(await keysOf(store, {}, { revision })).toHaveLength(50);
    await store.close();
  });

  test("shows no key that was overdue when it began and expired in the middle", async () => {
    const { store, time } = await begin(640);
    await write(store, putFor(nameOf(600), "", 1_000));
    time.now += 1_000;
    const sink = slowSink();
    const scanning = store.scan!({}, {}, sink);
    time.fire();
    expect((await scanning).revision).toBe((await store.status()).revision);
    const right = Array.from({ length: 640 }, (_, at) => nameOf(at)).toSpliced(600, 1);
    expect(sink.entries.map(({ key }) => key)).toEqual(right);
    await store.close();
  });

  test("begins anew when its revision is forgotten, and is refused where that was asked for", async () => {
    const { store } = await begin(640);
    const { revision } = await store.status();
    const sink = slowSink();
    const scans = [store.scan!({}, {}, sink), store.scan!({}, { revision }, slowSink())];
    const settled = Promise.allSettled(scans);
    const forgotten = write(store, put(nameOf(1), "new"), del(nameOf(0)));
    await store.compact((await forgotten).revision);
    const [anew, refused] = await settled;
    expect(anew).toMatchObject({ status: "fulfilled", value: { revision: revision + 1 } });
    expect(sink.entries.map(({ key }) => key)).toEqual(
      Array.from({ length: 639 }, (_, at) => nameOf(at + 1)),
    );
    expect(refused).toMatchObject({ status: "rejected", reason: { code: "compacted" } });
    await store.close();
  });

  test("lets very many overdue keys expire at once", async () => {
    const { store, time } = await begin(0);
    for (let at = 0; at < 5; at++) {
      const names = Array.from({ length: 1_000 }, (_, index) => nameOf(1_000 * at + index));
      await write(store, ...names.map((key) => putFor(key, "", 1_000)));
    }
    await write(store, put("stays"));
    time.now += 1_000;
    expect(await keysOf(store, {})).toEqual(["stays"]);
    expect((await store.status()).keys).toBe(1);
    await store.close();
  });

  test("of what nobody can ask for is refused", async () => {
    const { store } = await begin(1);
    await store.compact((await store.status()).revision);
    const scan = (range: Range, options: object) => () =>
      Promise.resolve().then(() => store.scan!(range, options, new EntryCollector()));
    await failure(scan({}, { limit: 0 }), "invalid_argument");
    await failure(scan({}, { after: "\uD800" }), "invalid_argument");
    await failure(scan({}, { revision: 9 }), "invalid_argument");
    await failure(scan({}, { revision: 0 }), "compacted");
    await failure(scan({ start: "b", end: "\uD800" }, {}), "invalid_argument");
    await store.close();
    await failure(scan({}, {}), "unavailable");
  });

  test("names a record that is damaged", async () => {
    const { disk, store } = await begin(30);
    const bytes = disk.bytes("0000000001.log");
    bytes[Buffer.from(bytes).indexOf(`value of ${nameOf(9)}`)]! ^= 1;
    const scan = () => Promise.resolve().then(() => scanOnce(store, {}));
    const error = await failure(scan, "internal");
    expect(error.message).toMatch(/^0000000001\.log is damaged at offset \d+: .*checksum/);
    expect(await keysOf(store, {}, { keys: true })).toHaveLength(30);
    await store.close();
  });
});
