/** Which branches were taken, by their names, and the list of those that were not. */

import { expect, test } from "bun:test";
import { createInstrumenter } from "istanbul-lib-instrument";
import { branchesOf, faultsOf, type FileCounts, listOf, SOMETIMES } from "../scripts/branches.ts";

const SOURCE = `
export function pick(one?: number, two: number = 2): string {
  if (one === undefined) return "none";
  if (one > two) return "more";
  return one === two || two === 0 ? "same" : "less";
}
`;

const names = {
  none: 'if (one === undefined) return "none"; → yes',
  less: 'return one === two || two === 0 ? "same" : "less"; → no',
  zero: 'return one === two || two === 0 ? "same" : "less"; → as far as two === 0 ? "same" : "less";',
};

test("each way of each condition is a branch, with its line and a name of its own", () => {
  const branches = branchesAfter([[2, 2], [3]]);
  expect(branches.filter(({ taken }) => !taken).map(({ line, name }) => [line, name])).toEqual([
    [3, names.none],
    [5, names.less],
    [5, names.zero],
  ]);
  const all = branchesAfter([[2, 2], [3], [], [0, 2]]).filter(({ taken }) => !taken);
  expect(all).toEqual([]);
  expect(new Set(branches.map(({ name }) => name)).size).toBe(branches.length);
});

test("a branch that is not taken needs a reason, and no other has one", () => {
  const files = new Map([["a.ts", branchesAfter([[2, 2], [3], []])]]);
  expect(faultsOf(files, {})).toHaveLength(2);
  const reasons = { "a.ts": { [names.less]: "why", [names.zero]: "why" } };
  expect(faultsOf(files, reasons)).toEqual([]);
  expect(faultsOf(files, { "a.ts": { ...reasons["a.ts"], [names.none]: "why" } })).toEqual([
    `a.ts:3 is listed, and is covered: ${names.none}`,
  ]);
  const sometimes = { ...reasons["a.ts"], [names.none]: `${SOMETIMES}why` };
  expect(faultsOf(files, { "a.ts": sometimes })).toEqual([]);
  expect(faultsOf(files, { ...reasons, "b.ts": { gone: "why" } })).toHaveLength(1);
  expect(faultsOf(files, { "a.ts": { ...reasons["a.ts"], [names.less]: "" } })).toHaveLength(1);
});

test("the list that is written keeps the reasons of what is still not taken", () => {
  const files = new Map([["a.ts", branchesAfter([[2, 2], [3], []])]]);
  const known = { "a.ts": { [names.none]: "old", [names.less]: "why" } };
  expect(listOf(files, known)).toEqual({ "a.ts": { [names.less]: "why", [names.zero]: "" } });
});

// --- internal ---

/** The branches of the source after its function was called with these arguments. */
function branchesAfter(calls: readonly (readonly number[])[]) {
  const instrumenter = createInstrumenter({
    esModules: true,
    parserPlugins: ["typescript"],
    coverageVariable: "__coverage_of_test__",
  });
  const instrumented = instrumenter.instrumentSync(SOURCE, `pick-${serial++}.ts`);
  const script = new Bun.Transpiler({ loader: "ts" }).transformSync(
    instrumented.replace("export function", "function"),
  );
  // oxlint-disable-next-line no-new-func
  const pick = new Function(`${script}; return pick;`)() as (...args: number[]) => string;
  for (const call of calls) pick(...call);
  const counted = globalThis as unknown as { __coverage_of_test__: Record<string, FileCounts> };
  return branchesOf(Object.values(counted.__coverage_of_test__).at(-1)!, SOURCE);
}

let serial = 0;
