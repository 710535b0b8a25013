/** Conditions become checks, and those that make no sense together are refused by name. */

import { expect, test } from "bun:test";
import { checksOfConditions, type Conditions } from "../src/conditions.ts";
import { failure } from "./support/stores.ts";

test("each condition is one check, and all of them together hold", () => {
  expect(checksOfConditions("k", {})).toEqual([]);
  expect(checksOfConditions("k", { ifAbsent: false, ifPresent: false })).toEqual([]);
  expect(checksOfConditions("k", { ifRevision: undefined })).toEqual([]);
  expect(checksOfConditions("k", { ifRevision: 0 })).toEqual([{ key: "k", revision: 0 }]);
  expect(checksOfConditions("k", { ifAbsent: true })).toEqual([{ key: "k", revision: 0 }]);
  expect(checksOfConditions("k", { ifPresent: true, ifNotRevision: [3, 4] })).toEqual([
    { key: "k", revision: 0, not: true },
    { key: "k", revision: [3, 4], not: true },
  ]);
  expect(checksOfConditions("k", { ifRevision: [0, 5], ifNotRevision: 5 })).toEqual([
    { key: "k", revision: [0, 5] },
    { key: "k", revision: 5, not: true },
  ]);
});

const EXCLUSIVE: Conditions[] = [
  { ifAbsent: true, ifPresent: true },
  { ifAbsent: true, ifRevision: 0 },
  { ifAbsent: true, ifNotRevision: 5 },
  { ifPresent: true, ifRevision: 5 },
  { ifRevision: 5, ifNotRevision: 5 },
  { ifRevision: [5, 6], ifNotRevision: [6, 5, 7] },
];

test("conditions that exclude each other are refused and named", async () => {
  for (const conditions of EXCLUSIVE) {
    const error = await failure(() => checksOfConditions("k", conditions), "invalid_argument");
    const names = Object.keys(conditions).map((name) => `"${name}"`);
    expect(error.message).toBe(`${names.join(" and ")} exclude each other`);
  }
});

test("what is no revision is refused and named", async () => {
  for (const revision of [-1, 0.5, Number.NaN, 2 ** 53, [], [1, -1]]) {
    for (const name of ["ifRevision", "ifNotRevision"] as const) {
      const refused = () => checksOfConditions("k", { [name]: revision });
      expect((await failure(refused, "invalid_argument")).message).toContain(`"${name}"`);
    }
  }
});
