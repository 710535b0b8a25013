/**
 * What ten million keys cost: memory, the time of a start, and what they leave of the throughput. One
 * load of each server serves all lines.
 */

import { KvServer } from "../peers/kv.ts";
import type { Peer } from "../peers/peer.ts";
import { ask } from "../peers/ask.ts";
import { redis } from "../peers/redis.ts";
import { fillWith, requestSide } from "../sides.ts";
import type { Bench, Line, Pair, Sample, Workload } from "../workload.ts";

const onRedis = { needs: ["redis-server"] } as const;
const withMany = { against: "kv, 10 thousand keys", unit: "/s", goal: { least: 0.85 } } as const;

const lines = [
  {
    name: "memory",
    title: "resident memory 10 s after loading 10 million keys",
    against: "Redis",
    unit: "MiB",
    goal: { most: 0.5 },
    // It is what it is: the next look would see the same process.
    roundsMax: 1,
    isWarmed: false,
    ...onRedis,
  },
  { name: "get-many", title: "GET over HTTP, 10 million keys", needs: [], ...withMany },
  { name: "put-many", title: "durable PUT over HTTP, 10 million keys", needs: [], ...withMany },
  startLine("start-stopped", "after a clean stop", 0.2),
  startLine("start-killed", "after SIGKILL", 0.3),
] as const satisfies Line[];

export const manyKeys: Workload = {
  lines,
  async open(bench, stack, names) {
    const pairs: Record<string, Pair> = {};
    const kv = stack.use(new KvServer());
    await kv.start();
    bench.progress("10 million keys: loading kv");
    await fillWith(bench, kv, "kv", bench.manyKeys);
    if (names.has("memory")) await Bun.sleep(SETTLE_MS);
    const residentBytes = kv.residentBytes();
    if (lines.some(({ name, needs }) => names.has(name) && needs.length > 0)) {
      const peer = stack.use(redis({ appendfsync: "none" }));
      const peerBytes = await loadRedis(bench, peer, names.has("memory"));
      pairs["memory"] = { kv: constant(residentBytes), peer: constant(peerBytes) };
      pairs["start-stopped"] = startPair(bench, kv, peer, "SIGTERM");
      pairs["start-killed"] = startPair(bench, kv, peer, "SIGKILL");
    }
    if (names.has("get-many") || names.has("put-many")) {
      const few = stack.use(new KvServer());
      await few.start();
      await fillWith(bench, few, "kv", FEW_KEYS);
      for (const operation of ["get", "put"] as const) {
        const side = (server: KvServer, keys: number) =>
          requestSide(bench, server, 64, { dialect: "kv", operation, keys });
        pairs[`${operation}-many`] = { kv: side(kv, bench.manyKeys), peer: side(few, FEW_KEYS) };
      }
    }
    return pairs;
  },
};

// --- internal ---

const FEW_KEYS = 10_000;
/** For garbage to be collected, and for what runs behind a load to end. */
const SETTLE_MS = 10_000;

function startLine<Name extends string>(name: Name, when: string, most: number) {
  const title = `start with 10 million keys ${when}`;
  return {
    name,
    title,
    against: "Redis, of its RDB",
    unit: "ms",
    goal: { most },
    ...onRedis,
  } as const;
}

/** Loads Redis and has it save its RDB; what it held in memory before that, in bytes. */
async function loadRedis(bench: Bench, peer: Peer, isMemoryAsked: boolean): Promise<number> {
  await peer.start();
  bench.progress("10 million keys: loading Redis");
  await fillWith(bench, peer, "redis", bench.manyKeys);
  if (isMemoryAsked) await Bun.sleep(SETTLE_MS);
  const bytes = peer.residentBytes();
  const answer = await ask(peer.port, "SAVE");
  if (answer !== "+OK") throw new Error(`Redis does not save: ${answer}`);
  await peer.stop("SIGKILL");
  return bytes;
}

function constant(bytes: number): () => Promise<Sample> {
  return () => Promise.resolve({ value: bytes / 2 ** 20 });
}

function startPair(bench: Bench, kv: KvServer, peer: Peer, signal: "SIGTERM" | "SIGKILL"): Pair {
  const writes = requestSide(bench, kv, 64, {
    dialect: "kv",
    operation: "put",
    keys: bench.manyKeys,
  });
  return {
    async kv() {
      // So that there is something that no clean stop has put in order.
      await writes();
      await kv.stop(signal);
      const value = await kv.start();
      await checkCount(bench, kv);
      return { value };
    },
    async peer() {
      await peer.stop("SIGKILL");
      const value = await peer.start();
      const count = await ask(peer.port, "DBSIZE");
      if (count !== `:${bench.manyKeys}`) throw new Error(`Redis has loaded ${count} keys`);
      await peer.stop("SIGKILL");
      return { value };
    },
  };
}

async function checkCount(bench: Bench, kv: KvServer): Promise<void> {
  const answer = await fetch(`${kv.url}/v1/status`);
  const { keys } = (await answer.json()) as { keys: number };
  if (keys !== bench.manyKeys) throw new Error(`kv has ${keys} keys of ${bench.manyKeys}`);
}
