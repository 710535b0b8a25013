/**
 * A start with many keys, beside Redis loading its RDB with the same: from the start of the process
 * to its first answer. After a clean stop, and killed just before a checkpoint would have been due.
 */

import { cpSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeLog } from "../many-keys.ts";
import { KvServer } from "../peers/kv.ts";
import { ask } from "../peers/ask.ts";
import { redis } from "../peers/redis.ts";
import { fillWith } from "../sides.ts";
import type { Bench, Sample, Workload } from "../workload.ts";

const against = "Redis loading its RDB";
const LINE = {
  against,
  unit: "ms",
  needs: ["redis-server"],
  isWarmed: false,
} as const;

export const startRedis: Workload = {
  lines: [
    {
      ...LINE,
      name: "start-clean",
      title: "start with 10 million keys, after a clean stop",
      goal: { most: 0.2 },
    },
    {
      ...LINE,
      name: "start-killed",
      title: "start with 10 million keys, after SIGKILL",
      goal: { most: 0.3 },
    },
  ],
  async open(bench, stack, names) {
    const peer = stack.use(redis({ appendfsync: "none" }));
    bench.progress("start: filling Redis");
    await peer.start();
    await fillWith(bench, peer, "redis", bench.manyKeys);
    await ask(peer.port, "SAVE");
    await peer.stop("SIGKILL");
    bench.progress("start: filling kv");
    const clean = stack.use(new KvServer());
    await writeLog(clean.directory, bench.manyKeys);
    await clean.start();
    await clean.stop();
    const killed = stack.use(new KvServer());
    if (names.has("start-killed")) await makeKilled(bench, clean, killed);
    return {
      "start-clean": { kv: startOf(clean), peer: startOf(peer) },
      "start-killed": { kv: startOf(killed), peer: startOf(peer) },
    };
  },
};

// --- internal ---

interface Startable {
  start(): Promise<number>;
  stop(signal: NodeJS.Signals): Promise<void>;
}

/** Killed again at once, it leaves all as it was. */
function startOf(server: Startable): () => Promise<Sample> {
  return async () => {
    const value = await server.start();
    await server.stop("SIGKILL");
    return { value };
  };
}

/** A copy of a store that was stopped, with as many puts more as there can be since a checkpoint. */
async function makeKilled(bench: Bench, clean: KvServer, killed: KvServer): Promise<void> {
  bench.progress("start: writing, and being killed");
  rmSync(killed.directory, { recursive: true });
  cpSync(clean.directory, killed.directory, { recursive: true });
  const { size } = statSync(join(clean.directory, "CHECKPOINT"));
  const script = join(import.meta.dir, "../many-keys.ts");
  const words = [killed.directory, String(bench.manyKeys), String(size)];
  const child = Bun.spawn([process.execPath, script, ...words], { stdout: "ignore" });
  await child.exited;
  if (child.signalCode !== "SIGKILL")
    throw new Error("the process that was to be killed has ended");
}
