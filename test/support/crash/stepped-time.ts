/** The clock by which work is cut into slices, made a matter of a seed: slices end at any step. */

import { random } from "../random.ts";

/** Runs `body` while `performance.now` rises by random steps, and none of them by the real time. */
export async function withSteppedTime<T>(seed: number, body: () => Promise<T>): Promise<T> {
  const real = performance.now;
  const { next, oneIn } = random(seed);
  let now = 0;
  performance.now = () => (now += oneIn(8) ? 10 * next() : 0);
  try {
    return await body();
  } finally {
    performance.now = real;
  }
}
