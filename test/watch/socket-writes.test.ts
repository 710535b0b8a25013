/** Every operation that writes, over one connection: what it answers, and what it makes of the store. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { LIMITS } from "../../src/limits.ts";
import { put, textOf, write } from "../support/stores.ts";
import { openSocketRig, type SocketRig } from "./socket-rig.ts";

let rig: SocketRig;

beforeEach(async () => {
  rig = await openSocketRig();
});

afterEach(async () => await rig.end());

describe("put", () => {
  test("answers what it made, and get what is there", async () => {
    expect(await rig.result({ op: "put", key: "a", value: "1" })).toEqual({
      key: "a",
      revision: 1,
      createRevision: 1,
      version: 1,
    });
    expect(await rig.result({ op: "put", key: "a", base64: "/w==" })).toMatchObject({ version: 2 });
    expect(await rig.result({ op: "get", key: "a" })).toEqual({
      revision: 2,
      entry: {
        key: "a",
        base64: "/w==",
        contentType: "application/octet-stream",
        revision: 2,
        createRevision: 1,
        version: 2,
      },
    });
    expect(await rig.result({ op: "get", key: "a", revision: 1 })).toMatchObject({
      revision: 1,
      entry: { value: "1", contentType: "text/plain; charset=utf-8" },
    });
  });

  test("takes a time to live, keeps it, and clears it", async () => {
    const expiresAt = "2030-01-01T12:00:30.000Z";
    const put = { op: "put", key: "a", value: "1" };
    expect(await rig.result({ ...put, ttl: "30s" })).toEqual({
      key: "a",
      revision: 1,
      createRevision: 1,
      version: 1,
      expiresAt,
    });
    rig.now += 10_000;
    expect(await rig.result({ ...put, ttl: "keep" })).toMatchObject({ revision: 2, expiresAt });
    expect(await rig.result({ op: "get", key: "a" })).toMatchObject({ entry: { expiresAt } });
    expect(await rig.result(put)).toEqual({ key: "a", revision: 3, createRevision: 1, version: 3 });
    expect(await rig.result({ ...put, ttl: "1ms" })).toMatchObject({ revision: 4 });
    rig.now += 1;
    expect(await rig.error({ op: "get", key: "a" })).toMatchObject({
      code: "not_found",
      storeRevision: 5,
    });
    expect(await rig.result({ op: "get", key: "a", revision: 4 })).toMatchObject({
      entry: { value: "1" },
    });
    expect(await rig.result({ ...put, ttl: "keep" })).not.toHaveProperty("expiresAt");
  });
});

describe("delete", () => {
  test("deletes a key, and says at which revision there is none", async () => {
    await rig.result({ op: "put", key: "a", value: "1" });
    expect(await rig.result({ op: "delete", key: "a" })).toEqual({ deleted: 1, revision: 2 });
    expect(await rig.error({ op: "delete", key: "a" })).toEqual({
      code: "not_found",
      message: 'there is no key "a"',
      storeRevision: 2,
    });
  });
});

describe("deleteRange", () => {
  beforeEach(() => write(rig.store, put("a"), put("b/1"), put("b/2"), put("b/3"), put("c")));

  test("deletes a key, a prefix, a range, or all", async () => {
    const steps: [fields: Record<string, unknown>, deleted: number][] = [
      [{ prefix: "b/" }, 3],
      [{ prefix: "b/" }, 0],
      [{ key: "a" }, 1],
      [{ start: "c", end: "d" }, 1],
      [{ all: true }, 0],
    ];
    for (const [fields, deleted] of steps) {
      expect(await rig.result({ op: "deleteRange", ...fields })).toMatchObject({ deleted });
    }
    expect(await rig.result({ op: "list" })).toEqual({ revision: 4, entries: [] });
  });

  test("with a limit deletes the first keys, and says that there are more", async () => {
    const fields = { op: "deleteRange", prefix: "b/", limit: 2 };
    expect(await rig.result(fields)).toEqual({ deleted: 2, revision: 2, more: true });
    expect(await rig.result(fields)).toEqual({ deleted: 1, revision: 3 });
    expect(await rig.result(fields)).toEqual({ deleted: 0, revision: 3 });
  });

  test("of everything has to say so, and of anything else may not", async () => {
    for (const range of [{}, { prefix: "" }, { start: "" }]) {
      expect(await rig.error({ op: "deleteRange", ...range })).toMatchObject({
        code: "invalid_argument",
        message: "the range is every key; say so with all=true",
      });
    }
    expect(await rig.error({ op: "deleteRange", prefix: "b", all: true })).toMatchObject({
      code: "invalid_argument",
    });
    expect(await rig.result({ op: "list", count: true })).toEqual({ revision: 1, count: 5 });
    expect(await rig.result({ op: "deleteRange", prefix: "", all: true })).toMatchObject({
      deleted: 5,
    });
  });

  test("of more keys than a commit takes is refused without an index", async () => {
    const { commitEventsMax } = LIMITS;
    for (let at = 0; at <= commitEventsMax; at += 5_001) {
      const count = Math.min(5_001, commitEventsMax + 1 - at);
      await write(rig.store, ...Array.from({ length: count }, (_, more) => put(`n${at + more}`)));
    }
    const { message, ...rest } = await rig.error({ op: "deleteRange", prefix: "n" });
    expect(rest).toEqual({ code: "too_large", limit: commitEventsMax });
    expect(message).toBeString();
    const deleted = commitEventsMax;
    expect(await rig.result({ op: "deleteRange", prefix: "n", limit: deleted })).toMatchObject({
      deleted,
      more: true,
    });
  });
});

describe("incr", () => {
  test("adds to an integer of 64 bits, which stands as text", async () => {
    expect(await rig.result({ op: "incr", key: "n" })).toEqual({
      key: "n",
      value: "1",
      revision: 1,
      createRevision: 1,
      version: 1,
    });
    expect(await rig.result({ op: "incr", key: "n", by: "9223372036854775806" })).toMatchObject({
      value: "9223372036854775807",
      version: 2,
    });
    expect(await rig.result({ op: "incr", key: "n", by: "-9223372036854775808" })).toMatchObject({
      value: "-1",
    });
    expect(await textOf(rig.store, "n")).toBe("-1");
  });

  test("gives a time to live only to what it creates", async () => {
    const expiresAt = "2030-01-01T12:01:00.000Z";
    const incr = { op: "incr", key: "n", ttl: "1m" };
    expect(await rig.result(incr)).toMatchObject({ value: "1", expiresAt });
    rig.now += 30_000;
    expect(await rig.result(incr)).toMatchObject({ value: "2", expiresAt });
    rig.now += 30_000;
    expect(await rig.result(incr)).toMatchObject({
      value: "1",
      version: 1,
      expiresAt: "2030-01-01T12:02:00.000Z",
    });
  });

  test("of what is no integer, or becomes too large, is a conflict without an index", async () => {
    await write(rig.store, put("text", "1a"), put("large", "9223372036854775807"));
    for (const key of ["text", "large"]) {
      const { code, index } = await rig.error({ op: "incr", key });
      expect({ code, index }).toEqual({ code: "conflict", index: undefined });
    }
  });
});

describe("touch", () => {
  test("changes the deadline and nothing else", async () => {
    await rig.result({ op: "put", key: "a", value: "1", contentType: "text/html" });
    const touch = { op: "touch", key: "a" };
    expect(await rig.result({ ...touch, ttl: "1h" })).toEqual({
      key: "a",
      revision: 2,
      createRevision: 1,
      version: 2,
      expiresAt: "2030-01-01T13:00:00.000Z",
    });
    rig.now += 1;
    expect(await rig.result({ ...touch, ttl: "keep" })).toMatchObject({
      expiresAt: "2030-01-01T13:00:00.000Z",
    });
    expect(await rig.result({ ...touch, ttl: "none" })).not.toHaveProperty("expiresAt");
    expect(await rig.result({ op: "get", key: "a" })).toMatchObject({
      entry: { value: "1", contentType: "text/html", version: 4 },
    });
  });

  test("of an absent key says at which revision there is none, and no index", async () => {
    await write(rig.store, put("b"));
    expect(await rig.error({ op: "touch", key: "a", ttl: "1h" })).toEqual({
      code: "not_found",
      message: 'there is no key "a"',
      storeRevision: 1,
    });
  });
});

describe("txn", () => {
  test("takes every check and every operation, and answers each", async () => {
    await write(rig.store, put("a", "1"), put("n", "41"), put("x/1"), put("x/2"));
    const answer = await rig.result({
      op: "txn",
      checks: [
        { key: "a", revision: 1 },
        { key: "a", revision: [7, 1] },
        { key: "a", version: 1 },
        { key: "none", version: [0, 3] },
        { key: "a", value: "1" },
        { key: "a", base64: "Mg==", not: true },
        { key: "none", value: "", not: true },
      ],
      then: [
        { op: "put", key: "b", value: "2", ttl: "30s" },
        { op: "incr", key: "n", by: "1" },
        { op: "touch", key: "a", ttl: "1h" },
        { op: "get", key: "b", keys: true },
        { op: "deleteRange", prefix: "x/", limit: 1 },
        { op: "list", prefix: "x/", count: true },
        { op: "list", delimiter: "/", keys: true, reverse: true, limit: 2 },
        { op: "delete", key: "b" },
      ],
    });
    const contentType = "text/plain; charset=utf-8";
    const changed = { revision: 2, createRevision: 1, version: 2 };
    expect(answer).toEqual({
      succeeded: true,
      revision: 2,
      results: [
        // Undone by the delete below.
        { op: "put", key: "b", revision: 0, createRevision: 0, version: 0 },
        { op: "incr", value: "42", key: "n", ...changed },
        { op: "touch", key: "a", ...changed, expiresAt: "2030-01-01T13:00:00.000Z" },
        {
          op: "get",
          entry: {
            key: "b",
            contentType,
            revision: 2,
            createRevision: 2,
            version: 1,
            expiresAt: "2030-01-01T12:00:30.000Z",
          },
        },
        { op: "deleteRange", deleted: 1, more: true },
        { op: "list", count: 1 },
        {
          op: "list",
          entries: [{ key: "n", contentType, ...changed }],
          folders: ["x/"],
          more: true,
        },
        { op: "delete", deleted: 1 },
      ],
    });
  });

  test("that fails its checks runs the other operations, and says which checks", async () => {
    const answer = await rig.result({
      op: "txn",
      checks: [
        { key: "a", value: "" },
        { key: "a", version: 0 },
        { key: "a", revision: 0, not: true },
      ],
      then: [{ op: "put", key: "a", value: "then" }],
      else: [{ op: "incr", key: "n" }],
    });
    expect(answer).toMatchObject({ succeeded: false, revision: 1, failed: [0, 2] });
    expect(await textOf(rig.store, "a")).toBeUndefined();
    expect(await textOf(rig.store, "n")).toBe("1");
  });

  test("fails as a whole with the operation that fails, counted in the list that ran", async () => {
    await write(rig.store, put("text", "x"));
    const put_ = { op: "put", key: "a", value: "" };
    const wrong = [{ key: "a", revision: 9 }];
    const incr = { op: "incr", key: "text" };
    const touch = { op: "touch", key: "none", ttl: "1s" };
    expect(await rig.error({ op: "txn", then: [put_, put_, incr] })).toMatchObject({
      code: "conflict",
      index: 2,
    });
    expect(
      await rig.error({ op: "txn", checks: wrong, then: [put_, put_], else: [put_, touch] }),
    ).toMatchObject({ code: "not_found", index: 1 });
    expect(await rig.store.status()).toMatchObject({ revision: 1, keys: 1 });
  });
});
