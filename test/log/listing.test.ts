/** Listings and histories at their edges: behind the end, folders that nothing follows, large commits. */

import { expect, test } from "bun:test";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn } from "../support/logs.ts";
import { del, delRange, listAll, put, write } from "../support/stores.ts";

test("a page downwards from behind the end of its range begins at the end", async () => {
  const store = await openOn(new FakeDisk());
  await write(store, ...["a", "b", "c", "d"].map((key) => put(key)));
  for (const after of ["c", "d", "z", "\u{10FFFF}"]) {
    const { entries } = await store.list({ end: "c" }, { reverse: true, after });
    expect(entries.map(({ key }) => key)).toEqual(["b", "a"]);
  }
  await store.close();
});

test("nothing follows a folder of the highest character", async () => {
  const highest = "\u{10FFFF}";
  const store = await openOn(new FakeDisk());
  await write(store, put("a"), put(`${highest}b`), put(`${highest}${highest}c`));
  const options = { delimiter: highest };
  const { entries, folders, more } = await store.list({}, options);
  expect([entries.map(({ key }) => key), folders, more]).toEqual([["a"], [highest], false]);
  const first = await store.list({}, { ...options, limit: 1 });
  expect(first).toMatchObject({ more: true, next: "a" });
  const second = await store.list({}, { ...options, limit: 1, after: "a" });
  expect(second).toMatchObject({ folders: [highest], more: false });
  for (const after of [highest, `${highest}b`]) {
    expect(await store.list({}, { ...options, after })).toMatchObject({ entries: [], folders: [] });
  }
  const down = await store.list({}, { ...options, reverse: true, after: `${highest}b` });
  expect(down).toMatchObject({ folders: [highest], more: false });
  await store.close();
});

test("a history passes over large commits that the key has no part in", async () => {
  const options = { valueCacheBytesMax: 0, recentBytesMax: 0 };
  const store = await openOn(new FakeDisk(), options);
  const others = Array.from({ length: 200 }, (_, at) => put(`other/${at}`));
  await write(store, put("key", "1"));
  for (const revision of [2, 4, 6]) {
    await write(store, ...others);
    await write(store, put("key", `${revision + 1}`));
  }
  for (let before = 1; before <= 8; before++) {
    // Twice: where the keys of a large commit stand is known then.
    for (let again = 0; again < 2; again++) {
      const { entries } = await store.history("key", { before });
      const right = [7, 5, 3, 1].filter((revision) => revision < before);
      expect(entries.map(({ revision }) => revision)).toEqual(right);
      const { entries: other } = await store.history("other/199", { before });
      const large = [6, 4, 2].filter((revision) => revision < before);
      expect(other.map(({ revision }) => revision)).toEqual(large);
    }
  }
  await store.close();
});

test("keys that were deleted before a start are in ranges once they are put again", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk);
  // Several leaves of the order: in those but the first, none is left.
  const keys = Array.from({ length: 3_000 }, (_, at) => `k${String(at).padStart(4, "0")}`);
  await write(store, ...keys.map((key) => put(key)));
  await write(store, ...keys.map((key) => del(key)));
  const again = await openOn(disk.kill());
  expect(await listAll(again, {})).toEqual([]);
  await write(again, ...keys.map((key) => put(key)));
  expect((await listAll(again, {})).map(({ key }) => key)).toEqual(keys);
  const { results } = await write(again, { op: "list", range: {}, limit: 5_000 }, delRange({}));
  expect(results).toMatchObject([{ entries: keys.map((key) => ({ key })) }, { deleted: 3_000 }]);
  await again.close();
});
