/**
 * Looks at very many images of disks as crashes leave them:
 * `bun test/log/crash-images-long.ts [--processes N] [IMAGES] [SEED] [PATH]`. With a path, at that
 * image alone; else in two processes at once, or in as many as are wanted.
 */

import { parseArgs } from "node:util";
import { lookAtImages, runImages, sum, type Count } from "../support/crash/images.ts";
import { randomSeed } from "../support/random.ts";

/** How often progress is told. */
const TELL_MS = 10_000;

/** What a process tells of its part. */
interface Progress {
  readonly count: Count;
  readonly stores: number;
}

const { values, positionals } = parseArgs({
  options: {
    processes: { type: "string", default: "2" },
    // Which of the processes this one is, for those that the first one starts.
    part: { type: "string" },
  },
  allowPositionals: true,
});
const [images = "1000000", seedText, path] = positionals;
const seed = seedText === undefined ? randomSeed() : Number(seedText);
const processes = Number(values.processes);

try {
  if (path !== undefined) await runImages({ seed, only: path });
  else if (values.part !== undefined) await runPart(Number(values.part));
  else await runAll();
} catch (error) {
  console.error((error as Error).message);
  console.error((error as Error).cause);
  process.exit(1);
}

// --- internal ---

async function runAll(): Promise<void> {
  console.log(`seed ${seed}`);
  const began = Date.now();
  const parts: Progress[] = Array.from({ length: processes }, () => ({ count: [], stores: 0 }));
  const children = parts.map((_, part) => {
    const options = ["--processes", String(processes), "--part", String(part)];
    return Bun.spawn([process.execPath, import.meta.path, ...options, images, String(seed)], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (progress: Progress) => void (parts[part] = progress),
    });
  });
  const telling = setInterval(() => tell(parts, Date.now() - began), TELL_MS);
  const failed = (code: number): void => {
    // The others need not go on.
    if (code !== 0) for (const child of children) child.kill();
  };
  const codes = await Promise.all(
    children.map(async (child) => {
      const code = await child.exited;
      failed(code);
      return code;
    }),
  );
  clearInterval(telling);
  tell(parts, Date.now() - began);
  if (codes.some((code) => code !== 0)) process.exit(1);
}

/** A share of the images, of stores with seeds of their own. */
async function runPart(part: number): Promise<void> {
  let toldAt = 0;
  let last: Progress = { count: [], stores: 0 };
  const stores = { seed: seed + part, step: processes };
  await lookAtImages(Math.ceil(Number(images) / processes), stores, (count, runs) => {
    last = { count, stores: runs };
    if (Date.now() - toldAt < 1000) return;
    toldAt = Date.now();
    process.send?.(last);
  });
  process.send?.(last);
  process.disconnect?.();
}

function tell(parts: readonly Progress[], milliseconds: number): void {
  const count = [0, 1, 2].map((at) => sum(parts.map((part) => part.count[at] ?? 0)));
  const stores = sum(parts.map((part) => part.stores));
  const rate = Math.round((1000 * sum(count)) / milliseconds);
  console.log(
    `${sum(count)} images (${count.join(" + ")} by generation) of ${stores} stores, ` +
      `${rate} a second`,
  );
}
