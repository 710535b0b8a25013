/** Reasons to give up: those that end with one signal share a listener of it. */

import { expect, spyOn, test } from "bun:test";
import { Stop } from "../../src/client/stop.ts";

test("any number of requests add one listener to a signal, and leave none behind", () => {
  const controller = new AbortController();
  const adding = spyOn(controller.signal, "addEventListener");
  const removing = spyOn(controller.signal, "removeEventListener");
  for (let round = 1; round <= 2; round++) {
    const stops = Array.from({ length: 20 }, () => new Stop(Infinity, [controller.signal]));
    expect(adding).toHaveBeenCalledTimes(round);
    for (const stop of stops.slice(1)) stop.forget();
    expect(removing).toHaveBeenCalledTimes(round - 1);
    stops[0]!.forget();
    stops[0]!.forget();
    expect(removing).toHaveBeenCalledTimes(round);
    expect(removing.mock.calls.at(-1)).toEqual(adding.mock.calls.at(-1)!);
  }
});

test("an abort ends all that have not forgotten it, and no other one", () => {
  const [mine, other] = [new AbortController(), new AbortController()];
  const forgotten = new Stop(Infinity, [mine.signal]);
  const twice = new Stop(Infinity, [mine.signal, mine.signal]);
  const both = new Stop(Infinity, [undefined, other.signal, mine.signal]);
  const unrelated = new Stop(Infinity, [other.signal]);
  forgotten.forget();
  mine.abort();
  const stops = [forgotten, twice, both, unrelated];
  expect(stops.map(({ signal }) => signal.aborted)).toEqual([false, true, true, false]);
  for (const stop of stops) stop.forget();
});
