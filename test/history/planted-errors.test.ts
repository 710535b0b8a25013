/**
 * Histories with one error each, and what the checkers say: (a) goes by revisions, (b) by the order
 * of time alone. Where one of them says nothing, it cannot see that error.
 */

import { describe, expect, test } from "bun:test";
import {
  asked,
  B,
  commit,
  del,
  entry,
  get,
  incr,
  left,
  plainGet,
  put,
  putEvent,
  twoPuts,
  txn,
  unknown,
  verdict,
} from "./by-hand.ts";

test("right histories are right", () => {
  const operations = [
    ...twoPuts,
    get([4, 5], "x", 2, entry("2", 2, 2)),
    plainGet([4, 6], "x", entry("2", 2, 2)),
    asked(
      [4, 9],
      { then: [{ op: "get", key: "x" }], at: 1 },
      { kind: "done", succeeded: true, revision: 1, results: [{ entry: entry("1", 1) }] },
    ),
    incr([7, 9], "n", "1", left(4)),
    del([8, 10], "x", 5),
    get([8, 12], "x", 4, entry("2", 2, 2)),
    get([11, 12], "x", 5, null),
  ];
  expect(verdict({ operations })).toEqual({ a: [], b: [] });
});

describe("a stale read", () => {
  test("that names its old revision is seen by both", () => {
    const operations = [...twoPuts, get([4, 5], "x", 1, entry("1", 1))];
    expect(verdict({ operations })).toEqual({ a: ["stale read"], b: B });
  });

  test("that claims to be new is seen by both", () => {
    const operations = [...twoPuts, get([4, 5], "x", 2, entry("1", 1))];
    expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: B });
  });

  test("that shows no revision of the store is seen by both", () => {
    const operations = [...twoPuts, plainGet([4, 5], "x", { value: "1" })];
    expect(verdict({ operations })).toEqual({ a: ["stale read"], b: B });
  });

  test("of another key than the one that was read before is seen by revisions only", () => {
    const operations = [
      put([0, 1], "x", "1", left(1)),
      put([0, 9], "y", "1", left(2)),
      get([2, 3], "y", 2, entry("1", 2)),
      put([0, 9], "x", "2", left(3, 2, 1)),
      plainGet([4, 5], "x", entry("2", 3, 2)),
      get([6, 7], "y", 2, entry("1", 2)),
    ];
    expect(verdict({ operations })).toEqual({ a: ["stale read"], b: [] });
  });
});

describe("a lost write", () => {
  test("that no later read shows is seen by both", () => {
    const operations = [...twoPuts, get([4, 5], "x", 3, entry("1", 1))];
    expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: B });
  });

  test("that the watch never showed is seen by revisions", () => {
    const commits = [commit(2, 1, putEvent("x", "1", 1, 1))];
    expect(verdict({ operations: twoPuts, commits })).toEqual({ a: ["lost write"], b: [] });
  });

  test("by two increments from the same value is seen by both", () => {
    const operations = [
      incr([0, 1], "n", "1", left(1)),
      incr([2, 5], "n", "2", left(2, 2, 1)),
      incr([3, 5], "n", "2", left(3, 3, 1)),
    ];
    expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: B });
  });
});

test("two writes with one revision are seen by revisions only", () => {
  const operations = [put([0, 1], "x", "1", left(1)), put([0, 1], "y", "1", left(1))];
  expect(verdict({ operations })).toEqual({ a: ["duplicate revision"], b: [] });
});

test("writes whose revisions are not in the order of time are seen by revisions only", () => {
  const operations = [put([0, 1], "x", "1", left(2)), put([2, 3], "y", "1", left(1))];
  expect(verdict({ operations })).toEqual({ a: ["order of writes"], b: [] });
});

test("a read from the future is seen by both", () => {
  const operations = [get([0, 1], "x", 1, entry("1", 1)), put([2, 3], "x", "1", left(1))];
  expect(verdict({ operations })).toEqual({ a: ["future read"], b: B });
  const plain = [plainGet([0, 1], "x", { value: "1" }), put([2, 3], "x", "1", left(1))];
  expect(verdict({ operations: plain })).toEqual({ a: ["future read"], b: B });
});

describe("a torn transaction", () => {
  const both = txn([0, 9], 1, [
    [{ op: "put", key: "x", value: "1" }, left(1)],
    [{ op: "put", key: "y", value: "1" }, left(1)],
  ]);

  test("of which a list shows one half is seen by revisions only", () => {
    const list = { op: "list", range: {} } as const;
    const seen = [{ key: "x", ...entry("1", 1) }];
    const operations = [both, txn([1, 2], 1, [[list, { entries: seen, more: false }]])];
    expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: [] });
  });

  test("of which one read after the other shows the other half is seen by revisions only", () => {
    const operations = [
      both,
      plainGet([1, 2], "x", { value: "1" }),
      asked(
        [3, 4],
        { then: [{ op: "get", key: "y" }] },
        { kind: "done", succeeded: true, results: [{ entry: null }] },
      ),
    ];
    expect(verdict({ operations })).toEqual({ a: ["stale read"], b: [] });
  });

  test("of which the watch showed one half is seen by revisions only", () => {
    const commits = [commit(9, 1, putEvent("x", "1", 1, 1))];
    expect(verdict({ operations: [both], commits })).toEqual({ a: ["torn transaction"], b: [] });
  });

  test("of which one half came to be is seen by both", () => {
    const operations = [both, get([10, 11], "y", 1, null)];
    expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: B });
  });
});

describe("a key that comes back", () => {
  const deleted = [put([0, 1], "x", "1", left(1)), del([2, 3], "x", 2)];

  test("after a delete is seen by both", () => {
    const operations = [...deleted, get([4, 5], "x", 2, entry("1", 1))];
    expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: B });
  });

  test("with its old version is seen by both", () => {
    const operations = [...deleted, put([4, 5], "x", "2", left(3, 2, 1))];
    expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: B });
  });

  test("after its time was over is seen by both", () => {
    const step = { op: "put", key: "x", value: "1", ttl: 10 } as const;
    const operations = [
      txn([0, 1], 1, [[step, { ...left(1), expiresAt: 10 }]]),
      get([20, 21], "x", 2, { ...entry("1", 1), expiresAt: 10 }),
    ];
    const commits = [
      commit(1, 1, putEvent("x", "1", 1, 1, 10)),
      commit(11, 2, { type: "expire", key: "x" }),
    ];
    expect(verdict({ operations, commits, epoch: 0 })).toEqual({ a: ["wrong answer"], b: B });
  });
});

describe("an unknown outcome", () => {
  const step = { op: "put", key: "x", value: "1" } as const;

  test("may be one commit, late, or none", () => {
    const operations = [
      unknown([0, 1], step),
      unknown([0, 1], { ...step, value: "never" }),
      put([2, 3], "x", "2", left(1)),
      get([4, 5], "x", 2, entry("1", 2, 2)),
    ];
    const commits = [
      commit(3, 1, putEvent("x", "2", 1, 1)),
      commit(4, 2, putEvent("x", "1", 2, 1)),
    ];
    expect(verdict({ operations, commits })).toEqual({ a: [], b: [] });
  });

  test("may have spared a key of a range that it was to delete up to a limit", () => {
    const clear = { op: "deleteRange", range: {}, limit: 1 } as const;
    const request = { then: [clear, { op: "put", key: "x", value: "2" } as const] };
    const operations = [
      put([0, 1], "a", "1", left(1)),
      put([2, 3], "x", "1", left(2)),
      asked([4, 5], request, { kind: "unknown" }),
      get([6, 7], "x", 3, entry("2", 3, 2)),
    ];
    const commits = [
      commit(1, 1, putEvent("a", "1", 1, 1)),
      commit(3, 2, putEvent("x", "1", 1, 2)),
      commit(5, 3, { type: "delete", key: "a" }, putEvent("x", "2", 2, 2)),
    ];
    expect(verdict({ operations, commits })).toEqual({ a: [], b: [] });
  });

  test("that comes twice is seen by both", () => {
    const operations = [
      unknown([0, 1], step),
      get([2, 3], "x", 1, entry("1", 1)),
      put([4, 5], "x", "2", left(2, 2, 1)),
      get([6, 7], "x", 3, entry("1", 3, 3)),
    ];
    const commits = [
      commit(2, 1, putEvent("x", "1", 1, 1)),
      commit(5, 2, putEvent("x", "2", 2, 1)),
      commit(6, 3, putEvent("x", "1", 3, 1)),
    ];
    expect(verdict({ operations, commits })).toEqual({ a: ["nobody's commit"], b: B });
  });

  test("that comes when it was too late for it is seen by both", () => {
    const known = [put([2, 3], "x", "2", left(1)), get([4, 5], "x", 2, entry("1", 2, 2))];
    const commits = [
      commit(3, 1, putEvent("x", "2", 1, 1)),
      commit(4, 2, putEvent("x", "1", 2, 1)),
    ];
    const late = { operations: [unknown([0, 1], step, 3), ...known], commits };
    expect(verdict(late)).toEqual({ a: [], b: [] });
    const tooLate = { operations: [unknown([0, 1], step, 1), ...known], commits };
    expect(verdict(tooLate)).toEqual({ a: ["nobody's commit"], b: B });
  });

  test("that is seen before it was sent is seen by both", () => {
    const operations = [get([0, 1], "x", 1, entry("1", 1)), unknown([2, 3], step)];
    const commits = [commit(1, 1, putEvent("x", "1", 1, 1))];
    expect(verdict({ operations, commits })).toEqual({ a: ["nobody's commit"], b: B });
  });

  test("is not the commit of another one like it", () => {
    const remove = { op: "delete", key: "x" } as const;
    const operations = [
      put([0, 1], "x", "1", left(1)),
      unknown([2, 3], remove),
      put([4, 5], "x", "2", left(3)),
      get([6, 7], "x", 4, null),
    ];
    const commits = [
      commit(1, 1, putEvent("x", "1", 1, 1)),
      commit(4, 2, { type: "delete", key: "x" }),
      commit(5, 3, putEvent("x", "2", 1, 3)),
      commit(6, 4, { type: "delete", key: "x" }),
    ];
    expect(verdict({ operations, commits })).toEqual({ a: ["nobody's commit"], b: B });
    const twice = { operations: [...operations, unknown([2, 3], remove)], commits };
    expect(verdict(twice)).toEqual({ a: [], b: [] });
  });
});

test("what was refused and came to be all the same is seen by both", () => {
  const request = { then: [{ op: "put", key: "x", value: "1" } as const] };
  const operations = [
    asked([0, 1], request, { kind: "notApplied" }),
    get([2, 3], "x", 1, entry("1", 1)),
  ];
  const commits = [commit(2, 1, putEvent("x", "1", 1, 1))];
  expect(verdict({ operations, commits })).toEqual({ a: ["nobody's commit"], b: B });
});

test("a touch or an increment that failed for no reason is seen by both", () => {
  for (const [step, code] of [
    [{ op: "touch", key: "x", ttl: "none" }, "not_found"],
    [{ op: "incr", key: "x", by: "1" }, "conflict"],
  ] as const) {
    const answer = { kind: "refused", code, index: 0, revision: 2 } as const;
    const operations = [...twoPuts, asked([4, 5], { then: [step] }, answer)];
    expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: B });
  }
});

test("an increment of a text, or past 64 bits, that was done is seen by both", () => {
  for (const value of ["one", "007", "-0", "9223372036854775807"]) {
    const operations = [put([0, 1], "n", value, left(1)), incr([2, 3], "n", "1", left(2, 2, 1))];
    const { a, b } = verdict({ operations });
    expect([new Set(a), b]).toEqual([new Set(["wrong answer"]), B]);
  }
});

describe("requests of one connection", () => {
  const connection = "the connection";
  const first = { ...put([0, 5], "x", "1", left(2)), connection };
  const second = { ...put([1, 5], "y", "1", left(1)), connection };

  test("that overtake each other are seen by revisions only", () => {
    expect(verdict({ operations: [first, second] })).toEqual({
      a: ["order of a connection"],
      b: [],
    });
    const read = { ...get([1, 5], "x", 1, null), connection };
    const { a } = verdict({ operations: [first, read] });
    expect(a).toEqual(["order of a connection"]);
    const earlier = { ...get([1, 5], "x", 2, entry("1", 2)), connection };
    const later = { ...get([2, 5], "y", 1, entry("1", 1)), connection };
    const reads = [put([0, 5], "y", "1", left(1)), put([0, 5], "x", "1", left(2)), earlier, later];
    expect(verdict({ operations: reads })).toEqual({ a: ["order of a connection"], b: [] });
  });

  test("of two connections may", () => {
    const other = { ...second, connection: "another connection" };
    expect(verdict({ operations: [first, other] })).toEqual({ a: [], b: [] });
  });
});

test("a watch that shows commits out of order is seen by revisions", () => {
  const [first, second] = [
    commit(2, 1, putEvent("x", "1", 1, 1)),
    commit(3, 2, putEvent("x", "2", 2, 1)),
  ];
  const right = { operations: twoPuts, commits: [first, second] };
  expect(verdict(right)).toEqual({ a: [], b: [] });
  const wrong = { operations: twoPuts, commits: [second, first] };
  expect(verdict(wrong)).toEqual({ a: ["order of the watch"], b: [] });
});
