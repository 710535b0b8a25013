/**
 * As `planted-errors.test.ts`, with errors of what a request asks beside reading and writing:
 * conditions, and times to live.
 */

import { describe, expect, test } from "bun:test";
import {
  asked,
  B,
  commit,
  entry,
  get,
  left,
  put,
  putEvent,
  twoPuts,
  txn,
  verdict,
} from "./by-hand.ts";
import type { Operation, Result } from "./history.ts";

describe("a condition", () => {
  test("on absence that held for two is seen by both", () => {
    const absent = { key: "x", revision: 0 };
    const create = (times: [number, number], result: Result): Operation => {
      const step = { op: "put", key: "x", value: `${result.revision}` } as const;
      return txn(times, result.revision!, [[step, result]], [absent]);
    };
    const operations = [create([0, 3], left(1)), create([1, 3], left(2, 2, 1))];
    expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: B });
  });

  test("on an old revision that held is seen by revisions only", () => {
    const step = { op: "put", key: "x", value: "3" } as const;
    const check = { key: "x", revision: 1 };
    const operations = [...twoPuts, txn([4, 5], 3, [[step, left(3, 3, 1)]], [check])];
    expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: [] });
  });

  test("on a version or a value that held wrongly is seen by both", () => {
    for (const check of [
      { key: "x", version: [1, 3] },
      { key: "x", value: "1" },
      { key: "x", value: "2", not: true },
    ]) {
      const operations = [...twoPuts, txn([4, 5], 2, [], [check])];
      expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: B });
    }
  });

  test("among several that held wrongly is seen by both", () => {
    const checks = [
      { key: "x", version: 2 },
      { key: "x", value: "1" },
    ];
    const operations = [...twoPuts, txn([4, 5], 2, [], checks)];
    expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: B });
  });

  test("that failed wrongly is seen by both", () => {
    const request = {
      checks: [{ key: "x", version: 2 }],
      then: [{ op: "delete", key: "x" } as const],
    };
    const answer = { kind: "done", succeeded: false, revision: 2, results: [] } as const;
    const operations = [...twoPuts, asked([4, 5], request, answer)];
    expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: B });
  });

  test("that is named as failed in place of another is seen by both", () => {
    const request = {
      checks: [
        { key: "x", value: "2" },
        { key: "y", version: 1 },
      ],
      then: [],
    };
    const answer = {
      kind: "done",
      succeeded: false,
      failed: [0],
      revision: 2,
      results: [],
    } as const;
    const operations = [...twoPuts, asked([4, 5], request, answer)];
    expect(verdict({ operations })).toEqual({ a: ["wrong answer"], b: [...B, ...B] });
  });
});

describe("a time to live", () => {
  const step = { op: "put", key: "x", value: "1", ttl: 100 } as const;
  const operations = [txn([0, 1], 1, [[step, { ...left(1), expiresAt: 100 }]])];
  const written = commit(1, 1, putEvent("x", "1", 1, 1, 100));
  const expired = { type: "expire", key: "x" } as const;

  test("that is over as it should is right", () => {
    const history = { operations, commits: [written, commit(101, 2, expired)], epoch: 0 };
    expect(verdict(history)).toEqual({ a: [], b: [] });
  });

  test("that is over early is seen by revisions only", () => {
    const history = { operations, commits: [written, commit(50, 2, expired)], epoch: 0 };
    expect(verdict(history)).toEqual({ a: ["wrong expiry"], b: [] });
  });

  test("that an overdue key outlives is seen by revisions only", () => {
    const late = get([150, 151], "x", 1, { ...entry("1", 1), expiresAt: 100 });
    const commits = [written, commit(200, 2, expired)];
    const history = { operations: [...operations, late], commits, epoch: 0 };
    expect(verdict(history)).toEqual({ a: ["overdue key"], b: [] });
  });

  test("of a key that had none is seen by revisions only", () => {
    const plain = [put([0, 1], "x", "1", left(1))];
    const commits = [commit(1, 1, putEvent("x", "1", 1, 1)), commit(9, 2, expired)];
    const history = { operations: plain, commits };
    expect(verdict(history)).toEqual({ a: ["wrong expiry"], b: [] });
  });

  test("with another deadline than asked for is seen by revisions only", () => {
    const wrong = [txn([0, 1], 1, [[step, { ...left(1), expiresAt: 1_000 }]])];
    const commits = [commit(1, 1, putEvent("x", "1", 1, 1, 1_000))];
    const history = { operations: wrong, commits, epoch: 0 };
    expect(verdict(history)).toEqual({ a: ["wrong answer", "torn transaction"], b: [] });
  });
});
