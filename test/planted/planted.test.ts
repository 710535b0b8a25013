/**
 * The tests of the log catch every bug that is planted in a copy of its source: a few at random in a
 * quick run, all in a long one. To see what happens: `bun test/planted/main.ts NAME`.
 */

import { afterAll, describe, expect, test } from "bun:test";
import { random, randomSeed } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";
import type { Bug } from "./bug.ts";
import { BUGS } from "./bugs.ts";
import { catcherText, judged, planted, sourceOf, Workshop, type Outcome } from "./workshop.ts";

/** Bugs of a quick run. */
const FEW = 3;
/** Of all bugs together: each test waits for those before it. */
const MS_MAX = 400_000;

const seed = randomSeed();
const bugs = rounds(1) > 1 ? BUGS : someOf(BUGS);
const catchers = new Map(bugs.map(({ caughtBy }) => [catcherText(caughtBy), caughtBy]));

/** Two, each for one thing at a time. */
const workshops = [new Workshop(), new Workshop()];
const free = [...workshops];
const waiting: ((workshop: Workshop) => void)[] = [];

afterAll(() => {
  for (const workshop of workshops) workshop[Symbol.dispose]();
});

test("every bug has a name of its own and its place in the source", () => {
  expect(new Set(BUGS.map(({ name }) => name)).size).toBe(BUGS.length);
  for (const bug of BUGS) expect(planted(bug, sourceOf(bug))).not.toBe(sourceOf(bug));
});

describe(`with KV_TEST_SEED=${seed}`, () => {
  test.concurrent.each([...catchers])(
    "%s passes without a bug",
    async (_, catcher) => {
      const { verdict, why, output } = await inWorkshop((workshop) => workshop.run(catcher));
      expect([verdict, why], output).toEqual(["passed", "every test did"]);
    },
    MS_MAX,
  );

  test.concurrent.each(bugs.map((bug) => [bug.name, catcherText(bug.caughtBy), bug] as const))(
    "%s: caught by %s",
    async (_, __, bug) => {
      const { verdict, output } = await inWorkshop((workshop) => workshop.runWith(bug));
      expect(verdict, output).toBe("failed");
    },
    MS_MAX,
  );
});

describe("a bug counts as caught", () => {
  const output = "(pass) a > b [0.12ms]\n(fail) a > c [1.20ms]\n\n 1 pass\n 1 fail\n";

  test("when a test has failed, and it says which", () => {
    expect(judged(output, 1)).toEqual({ verdict: "failed", why: "a > c" });
  });

  test.each([
    ["no test failed", " 3 pass\n 0 fail\n", 0, "passed"],
    ["no test ran", " 0 pass\n 0 fail\n", 0, "broken"],
    ["no test has such a name", 'error: regex "x" matched 0 tests.', 1, "broken"],
    ["the source cannot be read", "error: Cannot find module './x.ts'", 1, "broken"],
    ["it names what is not there", `ReferenceError: x is not defined\n${output}`, 1, "broken"],
    ["a test timed out", `${output}  ^ this test timed out after 5000ms.`, 1, "broken"],
    ["the tests did not end", output, undefined, "broken"],
  ] as const)("not when %s", (_, text, code, verdict) => {
    expect(judged(text, code).verdict).toBe(verdict);
  });

  test.each([["not there"], ["there twice"]])(
    "only where its text is, not when it is %s",
    (times) => {
      const bug: Bug = { ...BUGS[0]!, name: "x", file: "y.ts", find: "a(b);", replace: "" };
      const text = times === "there twice" ? "a(b); a(b);" : "a(c);";
      expect(() => planted(bug, text)).toThrow(/"x" cannot be planted: .* in y.ts [02] times/);
    },
  );
});

// --- internal ---

function someOf(all: readonly Bug[]): readonly Bug[] {
  const { below } = random(seed);
  const left = [...all];
  return Array.from({ length: FEW }, () => left.splice(below(left.length), 1)[0]!);
}

/** Waits for a workshop that is free. */
async function inWorkshop(work: (workshop: Workshop) => Promise<Outcome>): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Workshop>();
  const first = free.pop();
  if (first === undefined) waiting.push(resolve);
  else resolve(first);
  const workshop = await promise;
  try {
    return await work(workshop);
  } finally {
    const next = waiting.shift();
    if (next === undefined) free.push(workshop);
    else next(workshop);
  }
}
