/** How long work goes on before others have their turn, by a clock that is set here. */

import { afterEach, beforeEach, expect, spyOn, test, type Mock } from "bun:test";
import { SHARED_SLICE_MS_MAX } from "../src/limits.ts";
import { Slice } from "../src/slice.ts";

let now = 0;
let clock: Mock<() => number>;

beforeEach(() => {
  now = 1_000;
  clock = spyOn(performance, "now").mockImplementation(() => now);
});

afterEach(() => clock.mockRestore());

/** Lets others work for some milliseconds, and measures the slice after it. */
async function lengthAfter(slice: Slice, others: number): Promise<number> {
  setImmediate(() => (now += others));
  await slice.next();
  const began = now;
  while (!slice.isOver()) now += 0.25;
  return now - began - 0.25;
}

test("a slice is as long as it was meant, whatever others do", async () => {
  const slice = new Slice(1, 3);
  for (const others of [0, 1, 100]) expect(await lengthAfter(slice, others)).toBe(3);
});

test("the time is looked at after some steps only", () => {
  const slice = new Slice(16, 3);
  now += 100;
  for (let step = 1; step < 16; step++) expect(slice.isOver()).toBe(false);
  expect(slice.isOver()).toBe(true);
});

test("with a share it is longer after others took long, up to a bound", async () => {
  const slice = new Slice(1, 1);
  slice.share = 1 / 2;
  expect(await lengthAfter(slice, 0)).toBe(1);
  expect(await lengthAfter(slice, 2)).toBe(1);
  expect(await lengthAfter(slice, 8)).toBe(4);
  expect(await lengthAfter(slice, 1_000)).toBe(SHARED_SLICE_MS_MAX);
  expect(await lengthAfter(slice, 0)).toBe(1);
});

test("pause goes on until the slice is over", async () => {
  const slice = new Slice(1, 3);
  let turns = 0;
  setImmediate(() => turns++);
  await slice.pause();
  expect(turns).toBe(0);
  now += 4;
  await slice.pause();
  expect(turns).toBe(1);
});
