/** Work that could take long: it is bounded, or leaves others their turn, and ends as it should. */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { TXN_SCAN_KEYS_MAX } from "../../src/limits.ts";
import { openLog } from "../../src/log/engine.ts";
import type { Operation, Store } from "../../src/kv.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { openOn } from "../support/logs.ts";
import { randomSeed, withSeed } from "../support/random.ts";
import { bytes, delRange, failure, put, putFor, textOf, touch, write } from "../support/stores.ts";
import { temporaryDirectory } from "../support/temporary.ts";

test("a range is deleted to its end, however many keys before it are deleted already", async () => {
  const store = await openOn(new FakeDisk());
  const count = TXN_SCAN_KEYS_MAX + 10_000;
  await putMany(store, count);
  let deleted = 0;
  for (let more = true; more;) {
    const { results } = await write(store, delRange({ prefix: "key/" }, 10_000));
    const [result] = results;
    if (result?.op !== "deleteRange") throw new Error("no result");
    deleted += result.deleted;
    more = result.more;
  }
  expect(deleted).toBe(count);
  await write(store, put("key/~"));
  expect((await write(store, delRange({ prefix: "key/" }))).results).toEqual([
    { op: "deleteRange", deleted: 1, more: false },
  ]);
  await store.close();
}, 60_000);

test("the ranges of one transaction hold a bounded number of keys; a listing counts them all", async () => {
  const store = await openOn(new FakeDisk());
  await putMany(store, TXN_SCAN_KEYS_MAX);
  const count = [{ op: "list", range: {}, count: true }] satisfies Operation[];
  expect((await write(store, ...count)).results[0]).toMatchObject({ count: TXN_SCAN_KEYS_MAX });
  await write(store, put("one more"));
  const error = await failure(() => write(store, ...count), "too_large");
  expect(error.details).toEqual({ limit: TXN_SCAN_KEYS_MAX, index: 0 });
  expect((await store.list({}, { count: true })).count).toBe(TXN_SCAN_KEYS_MAX + 1);
  await store.close();
}, 60_000);

test("any past of a key with many versions is found, in the middle of others too", async () => {
  await withSeed(randomSeed(), async (random) => {
    const store = await openOn(new FakeDisk(), { segmentBytesMax: 64 * 1024 });
    const values: (string | undefined)[] = [undefined];
    let current: string | undefined;
    for (let at = 1; at <= 4_000; at++) {
      // Long stretches of one key, and long ones without it.
      const hot = Math.floor(at / 500) % 2 === 0;
      if (hot && random.oneIn(50) && current !== undefined) {
        current = undefined;
        await write(store, { op: "delete", key: "hot" });
      } else if (hot || random.oneIn(400)) {
        current = String(at);
        await write(store, put("hot", current));
      } else await write(store, put(`other/${random.below(100)}`, "x".repeat(50)));
      values.push(current);
    }
    for (let round = 0; round < 300; round++) {
      const revision = 1 + random.below(4_000);
      expect([revision, await textOf(store, "hot", revision)]).toEqual([
        revision,
        values[revision],
      ]);
      const { entries } = await store.list({ prefix: "h" }, { revision });
      expect(entries.map(({ value }) => Buffer.from(value!).toString())).toEqual(
        values[revision] === undefined ? [] : [values[revision]],
      );
    }
    await store.close();
  });
}, 60_000);

test("a long search for the past leaves others their turn", async () => {
  const store = await openOn(new FakeDisk());
  await write(store, put("hot", "first"));
  // Nothing of the key is near the revision that is read, from either side: more steps each way
  // than are taken at once, of which one goes back over 16 KiB of the log.
  for (let at = 0; at < 100; at++) await write(store, put("filler", "x".repeat(17_000)));
  for (let at = 0; at < 100; at++) await write(store, put("hot", "later"));
  const read = store.get("hot", { revision: 100 });
  expect(read).toBeInstanceOf(Promise);
  expect(Buffer.from((await read).entry!.value).toString()).toBe("first");
  await store.close();
}, 60_000);

test("a check for a value of another size does not read the value", async () => {
  using directory = temporaryDirectory();
  const options = { directory: directory.path, valueCacheBytesMax: 0 };
  const store = await openLog(options);
  await write(store, put("large", "v".repeat(1_000)));
  const log = join(
    directory.path,
    readdirSync(directory.path).find((it) => it.endsWith(".log"))!,
  );
  const damaged = readFileSync(log);
  damaged.writeUInt8(0, damaged.lastIndexOf("v"));
  writeFileSync(log, damaged);
  const holds = (value: string) =>
    store.commit({ checks: [{ key: "large", value: bytes(value) }], then: [] });
  expect((await holds("x")).succeeded).toBe(false);
  await failure(() => holds("v".repeat(1_000)), "internal");
  await store.close();
});

test("touches of large values are refused before they fill the memory", async () => {
  const store = await openOn(new FakeDisk(), { limits: { commitBytesMax: 10_000 } });
  for (let at = 0; at < 50; at++) await write(store, put(`key/${at}`, "v".repeat(1_000)));
  const touches = Array.from({ length: 50 }, (_, at) => touch(`key/${at}`, 1_000));
  const error = await failure(() => write(store, ...touches), "too_large");
  // At the 41st: four times what a commit may have.
  expect(error.details.index).toBe(40);
  await store.close();
});

test("a clock that is set back while a listing waits for a key to expire does not keep it", async () => {
  const time = new FakeTime();
  const store = await openOn(new FakeDisk(), { clock: time.clock, timer: time.timer });
  await write(store, putFor("a", "v", 100));
  time.now += 150;
  const listing = store.list({});
  time.now -= 1_000;
  expect((await listing).entries.map(({ key }) => key)).toEqual(["a"]);
  await store.close();
});

test("a deadline counts from the evaluation, also behind many keys that are overdue", async () => {
  const time = new FakeTime();
  const store = await openOn(new FakeDisk(), { clock: time.clock, timer: time.timer });
  for (let part = 0; part < 2; part++) {
    await write(store, ...Array.from({ length: 5_000 }, (_, at) => putFor(`${part}/${at}`, "", 9)));
  }
  time.now += 10;
  const began = time.now;
  const writing = write(store, delRange({ prefix: "none/" }), putFor("late", "v", 50));
  const { results } = await writing;
  expect(results[1]).toMatchObject({ key: "late", expiresAt: began + 50 });
  await store.close();
});

test("a range that is empty does not wait until all that is due has expired", async () => {
  const time = new FakeTime();
  const store = await openOn(new FakeDisk(), { clock: time.clock, timer: time.timer });
  for (let part = 0; part < 3; part++) {
    await write(store, ...Array.from({ length: 9_000 }, (_, at) => putFor(`${part}/${at}`, "", 9)));
  }
  time.now += 10;
  await write(store, delRange({ prefix: "none/" }));
  expect((await store.status()).keys).toBeGreaterThan(20_000);
  const { revision } = await write(store, delRange({ prefix: "0/" }));
  // What was in the range has expired, and nothing was left to delete.
  expect((await store.list({ prefix: "0/" }, { revision })).entries).toEqual([]);
  await store.close();
});

// --- internal ---

async function putMany(store: Store, count: number): Promise<void> {
  for (let from = 0; from < count; from += 10_000) {
    const length = Math.min(10_000, count - from);
    await write(
      store,
      ...Array.from({ length }, (_, at) => put(`key/${String(from + at).padStart(7, "0")}`)),
    );
  }
}
