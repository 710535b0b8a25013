/**
 * How long a store of a million keys takes to open, with its checkpoint and without:
 * `bun test/bench/start.ts [KEYS]`. 16-byte keys, 100-byte values; each start is a process of its own.
 */

import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { openLog } from "../../src/log/engine.ts";
import { put } from "../support/stores.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const STARTS = 3;
/** The first argument of a process that only starts a store. */
const START = "start";

if (process.argv[2] === START) await start(process.argv[3]!);
else await compare(Number(process.argv[2] ?? 1_000_000));

async function start(directory: string): Promise<void> {
  const began = performance.now();
  const store = await openLog({ directory, checkpointBytesMin: Infinity });
  const milliseconds = performance.now() - began;
  const { keys } = store.status();
  console.log(JSON.stringify({ keys, milliseconds }));
  await store.close();
}

async function compare(keys: number): Promise<void> {
  using directory = temporaryDirectory();
  const { path } = directory;
  await fill(path, keys);
  const checkpoint = join(path, "CHECKPOINT");
  console.log(`${keys} keys, a checkpoint of ${mebibytes(statSync(checkpoint).size)} MiB`);
  const withOne = median(path, keys);
  console.log(`with the checkpoint     ${withOne.toFixed(0)} ms`);
  rmSync(checkpoint);
  const without = median(path, keys);
  console.log(
    `without                 ${without.toFixed(0)} ms, ${(without / withOne).toFixed(1)} times as long`,
  );
}

/** Keys in no order, a thousand with each commit. */
async function fill(directory: string, keys: number): Promise<void> {
  const store = await openLog({ directory });
  const value = Buffer.alloc(100, "v");
  for (let at = 0; at < keys; at += 1_000) {
    const count = Math.min(1_000, keys - at);
    const then = Array.from({ length: count }, (_, one) => put(nameOf(at + one), value));
    await store.commit({ checks: [], then });
  }
  const { bytes } = store.status();
  await store.close();
  console.log(`a log of ${mebibytes(bytes)} MiB`);
}

/** 16 characters, spread over the whole range. */
function nameOf(at: number): string {
  return Bun.hash.wyhash(String(at)).toString(16).padStart(16, "0");
}

function median(directory: string, keys: number): number {
  const times = Array.from({ length: STARTS }, () => {
    const { stdout, stderr } = Bun.spawnSync([
      process.execPath,
      import.meta.path,
      START,
      directory,
    ]);
    if (stdout.length === 0) throw new Error(stderr.toString());
    const answer = JSON.parse(stdout.toString()) as { keys: number; milliseconds: number };
    if (answer.keys !== keys) throw new Error(`a start found ${answer.keys} keys of ${keys}`);
    return answer.milliseconds;
  });
  return times.toSorted((a, b) => a - b)[Math.floor(STARTS / 2)]!;
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
