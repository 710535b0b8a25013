/** Crashes at every call to the disk, of recoveries too, three times over: see `crash-images-long.ts`. */

import { expect, test } from "bun:test";
import { lookAtImages, runImages, sum } from "../support/crash/images.ts";
import { randomSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";

test(
  "whatever a crash leaves of a disk, a start finds all that was answered, and a prefix of what was sent",
  async () => {
    const images = rounds(2_000);
    const seed = randomSeed();
    const count = await lookAtImages(images, { seed });
    console.log(`${sum(count)} images (${count.join(" + ")} by generation) from seed ${seed} on`);
    expect(sum(count)).toBeGreaterThanOrEqual(images);
    for (const generation of count) expect(generation).toBeGreaterThan(images / 20);
  },
  RANDOM_MS_MAX,
);

test("a seed gives the same images again, and each of them alone", async () => {
  const once = await runImages({ seed: 5 });
  expect(await runImages({ seed: 5 })).toEqual(once);
  expect(await runImages({ seed: 5, only: "17" })).toEqual([1, 0, 0]);
}, 120_000);
