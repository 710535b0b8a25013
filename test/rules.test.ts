/** What every engine refuses before it looks at its data. */

import { describe, expect, test } from "bun:test";
import type { Check, HistoryOptions, ListOptions, Operation } from "../src/kv.ts";
import { LIMITS, TTL_MS_MAX } from "../src/limits.ts";
import {
  checkCommitSize,
  checkContentType,
  checkHistory,
  checkInteger,
  checkList,
  checkMadeSize,
  checkReadSize,
  checkTtl,
  checkTxn,
  checkWatchable,
  readableRevision,
} from "../src/rules.ts";
import { bytes, delRange, failure, incr, put, putFor, touch } from "./support/stores.ts";

/** Small enough that a test can pass them. */
const limits = {
  ...LIMITS,
  valueBytesMax: 10,
  txnChecksMax: 3,
  txnOperationsMax: 3,
  commitEventsMax: 5,
  commitBytesMax: 100,
  pageEntriesMax: 7,
};

const check = (...then: Operation[]) => checkTxn({ checks: [], then }, limits);

describe("a transaction", () => {
  test("may have as many checks and operations as the limits say, in each list", async () => {
    const one = put("a");
    const three = [one, one, one];
    checkTxn({ checks: [], then: three, else: three }, limits);
    const tooMany: Parameters<typeof checkTxn>[0][] = [
      { checks: [], then: [...three, one] },
      { checks: [], then: [], else: [...three, one] },
      { checks: Array.from({ length: 4 }, () => ({ key: "a", revision: 0 })), then: [] },
    ];
    for (const txn of tooMany) {
      const error = await failure(() => checkTxn(txn, limits), "too_large");
      expect(error.details.limit).toBe(3);
    }
  });

  const refused: [string, Operation][] = [
    ["a put of a bad key", put("..")],
    ["a put of a bad type", put("a", "", "ä")],
    ["a put that lives for no time", putFor("a", "", 0)],
    ["a put that lives for half a millisecond", putFor("a", "", 0.5)],
    ["a put that lives too long", putFor("a", "", TTL_MS_MAX + 1)],
    ["a delete of a bad key", { op: "delete", key: "" }],
    ["a get of a bad key", { op: "get", key: "\uD800" }],
    ["an increment of a bad key", incr(".")],
    ["an increment of more than 64 bits", incr("a", 2n ** 63n)],
    ["an increment of less than 64 bits", incr("a", -(2n ** 63n) - 1n)],
    ["an increment that lives for no time", incr("a", 1n, 0)],
    ["a touch of a bad key", touch("a/..", 1)],
    ["a touch that gives no time", touch("a", 0)],
    ["a touch that gives a negative time", touch("a", -1)],
    ["a touch that gives too much time", touch("a", Number.POSITIVE_INFINITY)],
    ["a deletion of a bad range", delRange({ prefix: "\uD800" })],
    ["a deletion of no keys", delRange({}, 0)],
    ["a deletion of more keys than a commit has", delRange({}, 6)],
    ["a list of a bad range", { op: "list", range: { key: "" } }],
    ["a list of nothing", { op: "list", range: {}, limit: 0 }],
    ["a list of more than a page", { op: "list", range: {}, limit: 8 }],
    ["a list with an empty delimiter", { op: "list", range: {}, delimiter: "" }],
    ["a count with a limit", { op: "list", range: {}, count: true, limit: 1 }],
  ];
  test.each(refused)("is refused with %s, in either list", async (_, operation) => {
    await failure(() => check(put("fine"), operation), "invalid_argument");
    const otherwise = { checks: [], then: [], else: [operation] };
    await failure(() => checkTxn(otherwise, limits), "invalid_argument");
  });

  const passing: Operation[] = [
    put("a", "0123456789"),
    putFor("a", "", 1),
    putFor("a", "", TTL_MS_MAX),
    putFor("a", "", "keep"),
    touch("a", "keep"),
    touch("a", "none"),
    incr("a", 2n ** 63n - 1n, 1),
    incr("a", -(2n ** 63n)),
    delRange({}, 5),
    delRange({ prefix: ".." }),
    { op: "list", range: { start: "" }, limit: 7, keys: true, reverse: true, delimiter: "/" },
    { op: "list", range: {}, count: true, limit: undefined, keys: false, reverse: false },
  ];
  test("passes with everything that is within its bounds", () => {
    for (const operation of passing) check(operation);
  });

  test("is too large with a value that is, or a key, or a bound", async () => {
    const long = "x".repeat(LIMITS.keyBytesMax + 1);
    for (const operation of [put("a", "0123456789+"), put(long), delRange({ end: long })]) {
      await failure(() => check(operation), "too_large");
    }
    const type = "x".repeat(256);
    const error = await failure(() => check(put("a", "", type)), "too_large");
    expect(error.details.limit).toBe(255);
  });

  const checks: [Check, "invalid_argument" | "too_large" | undefined][] = [
    [{ key: "a", revision: 0 }, undefined],
    [{ key: "a", revision: [0, 7] }, undefined],
    [{ key: "a", version: [1] }, undefined],
    [{ key: "a", value: bytes("0123456789") }, undefined],
    [{ key: "", revision: 0 }, "invalid_argument"],
    [{ key: "a", revision: -1 }, "invalid_argument"],
    [{ key: "a", revision: [] }, "invalid_argument"],
    [{ key: "a", revision: [1, 1.5] }, "invalid_argument"],
    [{ key: "a", version: 2 ** 53 }, "invalid_argument"],
    [{ key: "a", version: [] }, "invalid_argument"],
    [{ key: "a", version: Number.NaN }, "invalid_argument"],
    [{ key: "a", value: bytes("0123456789+") }, "too_large"],
  ];
  test("has checks whose numbers are whole, at least one, and whose values are small", async () => {
    for (const [one, code] of checks) {
      const action = () => checkTxn({ checks: [one], then: [] }, limits);
      if (code === undefined) action();
      else await failure(action, code);
    }
  });
});

describe("a listing", () => {
  const bad: ListOptions[] = [
    { limit: 0 },
    { limit: 8 },
    { limit: 1.5 },
    { after: "\uD800" },
    { delimiter: "" },
    { delimiter: "\uDC00" },
    { count: true, limit: 1 },
    { count: true, after: "" },
    { count: true, keys: true },
    { count: true, reverse: true },
    { count: true, delimiter: "/" },
  ];
  test.each(bad)("cannot be asked for with %j", async (options) => {
    await failure(() => checkList(options, limits), "invalid_argument");
  });

  test("names what excludes each other", async () => {
    const options = { count: true, delimiter: "/" };
    const error = await failure(() => checkList(options, limits), "invalid_argument");
    expect(error.message).toBe("count and delimiter exclude each other");
  });

  const good: ListOptions[] = [
    {},
    { limit: 7 },
    { after: "" },
    { after: ".." },
    { count: true },
    { count: true, keys: false, reverse: false, revision: 7 },
    { count: false, limit: 1, keys: true, reverse: true, delimiter: "//", after: "a" },
  ];
  test.each(good)("can be asked for with %j", (options) => {
    checkList(options, limits);
  });
});

describe("a history", () => {
  const bad: HistoryOptions[] = [
    { limit: 0 },
    { limit: 8 },
    { limit: Number.NaN },
    { before: -1 },
    { before: 1.5 },
    { before: 2 ** 53 },
  ];
  test.each(bad)("cannot be asked for with %j", async (options) => {
    await failure(() => checkHistory(options, 0, limits), "invalid_argument");
  });

  test("begins above the oldest revision", async () => {
    checkHistory({ before: 8, limit: 7, keys: true }, 7, limits);
    checkHistory({ before: 1_000 }, 7, limits);
    checkHistory({}, 7, limits);
    for (const before of [7, 6, 0]) {
      const error = await failure(() => checkHistory({ before }, 7, limits), "compacted");
      expect(error.details.oldest).toBe(8);
    }
  });
});

describe("a revision", () => {
  test("can be read from the oldest to the store's own, which is read when none is named", async () => {
    expect(readableRevision(undefined, 9, 5)).toBe(9);
    expect([5, 7, 9].map((revision) => readableRevision(revision, 9, 5))).toEqual([5, 7, 9]);
    expect(readableRevision(0, 0, 0)).toBe(0);
    const above = await failure(() => readableRevision(10, 9, 5), "invalid_argument");
    expect(above.details).toEqual({ revision: 9 });
    const below = await failure(() => readableRevision(4, 9, 5), "compacted");
    expect(below.details).toEqual({ oldest: 5 });
    for (const bad of [-1, 0.5, Number.NaN, 2 ** 53]) {
      await failure(() => readableRevision(bad, 9, 5), "invalid_argument");
    }
  });

  test("can be watched from one above the oldest to one above the store's own", async () => {
    for (const from of [6, 9, 10]) checkWatchable(from, 9, 5);
    const above = await failure(() => checkWatchable(11, 9, 5), "invalid_argument");
    expect(above.details).toEqual({ revision: 9 });
    const below = await failure(() => checkWatchable(5, 9, 5), "compacted");
    expect(below.details).toEqual({ oldest: 6 });
    await failure(() => checkWatchable(0.5, 9, 5), "invalid_argument");
  });
});

test("sizes are refused one beyond their limit, with the limit", async () => {
  checkCommitSize(5, 100, limits);
  checkReadSize(100, limits);
  const events = await failure(() => checkCommitSize(6, 0, limits), "too_large");
  const written = await failure(() => checkCommitSize(0, 101, limits), "too_large");
  const read = await failure(() => checkReadSize(101, limits), "too_large");
  expect([events, written, read].map(({ details }) => details.limit)).toEqual([5, 100, 100]);
  // What later operations undo may be more than a commit has, but not without bound.
  checkMadeSize(400, limits);
  const made = await failure(() => checkMadeSize(401, limits), "too_large");
  expect(made.details.limit).toBe(400);
});

test("a time to live is 1 ms to 3,650 d, or a word", async () => {
  for (const ttl of [undefined, "keep", "none", 1, TTL_MS_MAX]) checkTtl(ttl);
  for (const ttl of [0, -1, 0.5, Number.NaN, TTL_MS_MAX + 1]) {
    await failure(() => checkTtl(ttl), "invalid_argument");
  }
});

test("a content type is visible ASCII, with spaces only inside it", async () => {
  for (const type of ["a", "text/plain; charset=utf-8", "!~", "x".repeat(255)]) {
    checkContentType(type, LIMITS);
  }
  for (const type of ["", " a", "a ", "a\tb", "ä", "a\u0000", "\u007f"]) {
    await failure(() => checkContentType(type, LIMITS), "invalid_argument");
  }
});

test("an integer says its bounds when it is none", async () => {
  checkInteger("limit", 5, 1, 5);
  const bounded = await failure(() => checkInteger("limit", 6, 1, 5), "invalid_argument");
  expect(bounded.message).toBe("limit is 6; it must be an integer from 1 to 5");
  const open = await failure(() => checkInteger("from", -1, 0), "invalid_argument");
  expect(open.message).toBe("from is -1; it must be an integer of 0 or more");
});
