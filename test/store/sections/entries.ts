/** One key: put, get, delete, and reads at older revisions. */

import { expect, test } from "bun:test";
import { bytes, del, failure, put, shown, textOf, write } from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

export function entriesSection(subject: Subject): void {
  const { fresh } = subject;

  test("an absent key has no entry, and the answer tells the store's revision", async () => {
    const { store } = subject;
    const result = await store.get(`${fresh()}absent`);
    expect(result.entry).toBeUndefined();
    expect(result.revision).toBe((await store.status()).revision);
  });

  test("a put is read back with its value, type and revisions", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const before = (await store.status()).revision;
    const result = await write(store, put(key, "one", "text/css"));
    const { revision } = result;
    expect(revision).toBeGreaterThan(before);
    expect(result).toEqual({
      succeeded: true,
      revision,
      results: [{ op: "put", key, revision, createRevision: revision, version: 1 }],
      failed: [],
    });
    const read = await store.get(key);
    expect(read.revision).toBe(revision);
    expect(shown(read.entry!)).toEqual({
      key,
      value: "one",
      contentType: "text/css",
      revision,
      createRevision: revision,
      version: 1,
    });
  });

  test("a later put counts the version up and keeps the createRevision", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const first = await write(store, put(key, "1", "text/css"));
    const second = await write(store, put(key, "2", "text/html"));
    const third = await write(store, put(key, "3"));
    expect(second.revision).toBeGreaterThan(first.revision);
    expect(third.revision).toBeGreaterThan(second.revision);
    const createRevision = first.revision;
    expect(second.results[0]).toMatchObject({ createRevision, version: 2 });
    expect(third.results[0]).toMatchObject({ createRevision, version: 3 });
    const { entry } = await store.get(key);
    expect(entry).toMatchObject({ revision: third.revision, createRevision, version: 3 });
    expect(entry!.contentType).not.toBe("text/html");
  });

  test("a put of the same bytes is a change like any other", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const first = await write(store, put(key, "same"));
    const second = await write(store, put(key, "same"));
    expect(second.revision).toBeGreaterThan(first.revision);
    expect(second.results[0]).toMatchObject({ revision: second.revision, version: 2 });
  });

  test("a deleted key is absent, and a put after it creates it anew", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    await write(store, put(key, "1"));
    const first = await write(store, put(key, "2"));
    const gone = await write(store, del(key));
    expect(gone.revision).toBeGreaterThan(first.revision);
    expect(gone.results).toEqual([{ op: "delete", deleted: 1 }]);
    expect((await store.get(key)).entry).toBeUndefined();
    const again = await write(store, put(key, "3"));
    expect(again.results[0]).toMatchObject({ createRevision: again.revision, version: 1 });
    expect((await store.get(key)).entry).toMatchObject({
      createRevision: again.revision,
      version: 1,
    });
  });

  test("a delete of an absent key changes nothing and takes no revision", async () => {
    const { store } = subject;
    const before = (await store.status()).revision;
    const result = await write(store, del(`${fresh()}absent`));
    expect(result).toEqual({
      succeeded: true,
      revision: before,
      results: [{ op: "delete", deleted: 0 }],
      failed: [],
    });
    expect((await store.status()).revision).toBe(before);
  });

  const values: [string, Uint8Array][] = [
    ["empty", new Uint8Array(0)],
    ["every byte", Uint8Array.from({ length: 256 }, (_, byte) => byte)],
    ["bytes that are no UTF-8", Uint8Array.of(0xc3, 0x28, 0xff, 0x00, 0xed, 0xa0, 0x80)],
    ["text that begins with a BOM", bytes("\uFEFFtext")],
    ["line ends and NUL", bytes("a\r\nb\n\u0000\n")],
    ["1 MiB of noise", noise(1024 * 1024)],
  ];
  test.each(values)("a value comes back byte for byte: %s", async (_, value) => {
    const { store } = subject;
    const key = `${fresh()}value`;
    await write(store, put(key, value, "application/octet-stream"));
    const { entry } = await store.get(key);
    expect(entry!.value).toBeInstanceOf(Uint8Array);
    expect(Buffer.compare(entry!.value, value)).toBe(0);
    const page = await store.list({ key });
    expect(Buffer.compare(page.entries[0]!.value!, value)).toBe(0);
  });

  test("the bytes that were put may be used again once the put was answered", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const value = bytes("before");
    const { revision } = await write(store, put(key, value));
    value.fill(0x21);
    expect(await textOf(store, key)).toBe("before");
    for await (const { commits } of store.changes(revision)) {
      if (commits.length === 0) continue;
      expect(shown(commits[0]!.events[0]!)).toMatchObject({ value: "before" });
      break;
    }
  });

  const types = [
    "a",
    "Text/PLAIN ;  x=Y",
    'x/y; q="ä"'.replace("ä", "~"),
    "multipart/x",
    "c".repeat(255),
  ];
  test.each(types)("a content type comes back as it was put: %s", async (contentType) => {
    const { store } = subject;
    const key = `${fresh()}a`;
    await write(store, put(key, "v", contentType));
    expect((await store.get(key)).entry!.contentType).toBe(contentType);
  });

  test("a read at a revision shows the state as it was", async () => {
    const { store } = subject;
    const prefix = fresh();
    const [key, other] = [`${prefix}a`, `${prefix}b`];
    const start = await write(store, put(other, "before"));
    const first = await write(store, put(key, "1"));
    const between = await write(store, put(other, "between"));
    const second = await write(store, put(key, "2"));
    const gone = await write(store, del(key));
    const again = await write(store, put(key, "3"));
    const seen = [start, first, between, second, gone, again].map(({ revision }) =>
      textOf(store, key, revision),
    );
    expect(await Promise.all(seen)).toEqual([undefined, "1", "1", "2", undefined, "3"]);
    const old = await store.get(key, { revision: between.revision });
    expect(old.revision).toBe(between.revision);
    expect(shown(old.entry!)).toEqual({
      key,
      value: "1",
      contentType: old.entry!.contentType,
      revision: first.revision,
      createRevision: first.revision,
      version: 1,
    });
  });

  test("the oldest revision can be read, and one below it is compacted", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const { oldest } = await store.status();
    const { revision, entry } = await store.get(key, { revision: oldest });
    expect(revision).toBe(oldest);
    expect(entry).toBeUndefined();
    if (oldest === 0) return;
    const error = await failure(() => store.get(key, { revision: oldest - 1 }), "compacted");
    expect(error.details.oldest).toBe(oldest);
  });

  test("a read at a revision that is none, or above the store's, is refused", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const { revision } = await write(store, put(key));
    const get = (at: number) => () => store.get(key, { revision: at });
    const error = await failure(get(revision + 1), "invalid_argument");
    expect(error.details.revision).toBe(revision);
    for (const bad of [-1, 1.5, Number.NaN, 2 ** 53]) await failure(get(bad), "invalid_argument");
  });

  test("every read after an answered write shows it", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    for (let round = 0; round < 20; round++) {
      const { revision } = await write(store, put(key, String(round)));
      const [read, page, status] = await Promise.all([
        store.get(key),
        store.list({ key }),
        store.status(),
      ]);
      expect(Buffer.from(read.entry!.value).toString()).toBe(String(round));
      expect(page.entries[0]!.revision).toBe(revision);
      expect([read.revision, page.revision, status.revision]).toEqual(Array(3).fill(revision));
    }
  });
}

// --- internal ---

/** Bytes without a pattern, the same in every run. */
function noise(length: number): Uint8Array {
  const value = new Uint8Array(length);
  let state = 0x9e3779b9;
  for (let at = 0; at < length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    value[at] = state;
  }
  return value;
}
