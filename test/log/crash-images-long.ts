/**
 * Looks at very many images of disks as crashes leave them:
 * `bun test/log/crash-images-long.ts [IMAGES] [SEED] [PATH]`. With a path, at that image alone. Two at
 * once with seeds that lie far apart use two processors.
 */

import { lookAtImages, runImages, sum } from "../support/crash/images.ts";
import { randomSeed } from "../support/random.ts";

const [images = "1000000", seedText, path] = process.argv.slice(2);
const seed = seedText === undefined ? randomSeed() : Number(seedText);
console.log(`seed ${seed}`);

try {
  if (path !== undefined) await runImages({ seed, only: path });
  else await runAll();
} catch (error) {
  console.error((error as Error).message);
  console.error((error as Error).cause);
  process.exit(1);
}

// --- internal ---

async function runAll(): Promise<void> {
  const began = Date.now();
  let toldAt = began;
  const tell = (count: readonly number[], runs: number): void => {
    const seconds = (Date.now() - began) / 1000;
    const rate = Math.round(sum([...count]) / seconds);
    console.log(
      `${sum([...count])} images (${count.join(" + ")} by generation) of ${runs} stores, ` +
        `${rate} a second`,
    );
  };
  let last: [readonly number[], number] = [[], 0];
  await lookAtImages(Number(images), seed, (count, runs) => {
    last = [count, runs];
    if (Date.now() - toldAt < 10_000) return;
    toldAt = Date.now();
    tell(count, runs);
  });
  tell(...last);
}
