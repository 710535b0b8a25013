/** The checker that ignores revisions, against trying every order of a few operations on one key. */

import { expect, test } from "bun:test";
import { randomSeed, withSeed, type Random } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";
import { asked, unknown } from "./by-hand.ts";
import type { History, Operation, Result, Step } from "./history.ts";
import { checkLinearizability } from "./linearizability.ts";

test("its verdict on any few operations is that of trying every order", async () => {
  let right = 0;
  let wrong = 0;
  for (let round = 0; round < rounds(1_500); round++) {
    await withSeed(randomSeed() + round, (random) => {
      const history = few(random);
      const expected = someOrderFits(history.operations);
      if (expected) right++;
      else wrong++;
      const violations = checkLinearizability(history);
      if (violations.length > 0 !== expected) return;
      throw new Error(`should ${expected ? "" : "not "}be right: ${JSON.stringify(history)}`);
    });
  }
  // Both verdicts come up, and not by chance alone.
  expect(Math.min(right, wrong)).toBeGreaterThan(rounds(100));
});

test("a history with too many orders to try is undecided, not right", () => {
  const answer = { kind: "done", succeeded: true, revision: 1, results: [{}] } as const;
  const puts = Array.from({ length: 20 }, (_, at) => {
    const step = { op: "put", key: "x", value: `${at}` } as const;
    return asked([0, 9], { then: [step] }, answer);
  });
  const results = [{ entry: { value: "none of them" } }];
  const read = asked([10, 11], { then: [{ op: "get", key: "x" }] }, { ...answer, results });
  const history = { operations: [...puts, read] };
  const [violation] = checkLinearizability(history, { configurationsMax: 10_000 });
  expect(violation!.rule).toBe("undecided");
  expect(violation!.message).toContain("21 operations on x");
});

test("an operation that cannot be explained is named", () => {
  const write = asked(
    [0, 1],
    { then: [{ op: "put", key: "x", value: "1" }] },
    { kind: "done", succeeded: true, results: [{ version: 1 }] },
  );
  const read = asked(
    [2, 3],
    { then: [{ op: "get", key: "x" }] },
    { kind: "done", succeeded: true, results: [{ entry: { value: "2" } }] },
    { client: "the culprit" },
  );
  const [violation] = checkLinearizability({ operations: [write, read] });
  expect(violation!.message).toContain("x; not explained: the culprit (2.000 to 3.000 ms)");
});

// --- internal ---

/** Up to 6 operations on one key at random times; about half of such histories are right. */
function few(random: Random): History {
  const operations: Operation[] = [];
  const count = 2 + random.below(6);
  const often = 1 + random.below(4);
  for (let at = 0; at < count; at++) {
    const call = random.below(12);
    const end = call + random.below(6);
    const step = random.pick<Step>([
      { op: "put", key: "x", value: `${random.below(3)}` },
      { op: "delete", key: "x" },
      { op: "get", key: "x" },
      { op: "incr", key: "x", by: "1" },
      { op: "touch", key: "x", ttl: "none" },
    ]);
    if (step.op !== "get" && random.oneIn(often)) {
      const until = random.oneIn(2) ? undefined : end + random.below(6);
      operations.push(unknown([call, end], step, until));
    } else {
      const results = [answerTo(random, step)];
      const answer = { kind: "done", succeeded: true, results } as const;
      operations.push(asked([call, end], { then: [step] }, answer));
    }
  }
  return { operations };
}

/** An answer that could be right, with some of what it could show. */
function answerTo(random: Random, { op }: Step): Result {
  const version = random.oneIn(2) ? { version: 1 + random.below(3) } : {};
  const value = `${random.below(4)}`;
  if (op === "delete") return random.oneIn(3) ? {} : { deleted: random.below(2) };
  if (op === "incr") return random.oneIn(2) ? { value, ...version } : version;
  if (op !== "get") return version;
  return { entry: random.oneIn(3) ? null : { value, ...version } };
}

type State = { value: string; version: number } | undefined;

/** Tries every order of every choice of the operations that time allows. */
function someOrderFits(operations: readonly Operation[]): boolean {
  const visit = (left: readonly Operation[], state: State): boolean => {
    if (left.every(({ answer }) => answer.kind === "unknown")) return true;
    return left.some((next) => {
      const others = left.filter((one) => one !== next);
      // What is over by then has taken effect, or never does.
      const over = others.filter((one) => endOf(one) < next.call);
      if (over.some(({ answer }) => answer.kind !== "unknown")) return false;
      const after = step(next, state);
      const still = others.filter((one) => !over.includes(one));
      return after !== "no" && visit(still, after.state);
    });
  };
  return visit(operations, undefined);
}

/** What has an unknown outcome need not take effect, but cannot for ever. */
function endOf({ answer, return: end }: Operation): number {
  return answer.kind === "unknown" ? (answer.until ?? Infinity) : end;
}

function step({ asked, answer }: Operation, state: State): { state: State } | "no" {
  const step = asked.then[0]!;
  const result = answer.kind === "done" ? answer.results[0]! : {};
  const version = (state?.version ?? 0) + 1;
  switch (step.op) {
    case "put":
      return shows(result.version, version) ? { state: { value: step.value, version } } : "no";
    case "touch":
      // Unknown ones may have failed; known ones did not.
      if (state === undefined) return answer.kind === "unknown" ? { state } : "no";
      return shows(result.version, version) ? { state: { ...state, version } } : "no";
    case "incr": {
      const value = String(Number(state?.value ?? 0) + 1);
      const fits = shows(result.version, version) && shows(result.value, value);
      return fits ? { state: { value, version } } : "no";
    }
    case "delete":
      return shows(result.deleted, state === undefined ? 0 : 1) ? { state: undefined } : "no";
    default: {
      const { entry } = result;
      if (entry === null || state === undefined) return (entry ?? state) ? "no" : { state };
      const fits = shows(entry!.value, state.value) && shows(entry!.version, state.version);
      return fits ? { state } : "no";
    }
  }
}

function shows(shown: unknown, right: unknown): boolean {
  return shown === undefined || shown === right;
}
