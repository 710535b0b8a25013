/**
 * What ten million keys cost: memory, and what they leave of the throughput. One load of the server
 * serves all lines.
 */

import { KvServer } from "../peers/kv.ts";
import type { Peer } from "../peers/peer.ts";
import { redis } from "../peers/redis.ts";
import { fillWith, requestSide } from "../sides.ts";
import type { Bench, Line, Pair, Sample, Workload } from "../workload.ts";

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
    needs: ["redis-server"],
  },
  { name: "get-many", title: "GET over HTTP, 10 million keys", needs: [], ...withMany },
  { name: "put-many", title: "durable PUT over HTTP, 10 million keys", needs: [], ...withMany },
] as const satisfies Line[];

export const manyKeys: Workload = {
  lines,
  async open(bench, stack, names) {
    const pairs: Record<string, Pair> = {};
    // First, for systems take out of their memory what nobody reads for some minutes.
    const peer = stack.use(redis({ appendfsync: "none" }));
    const peerBytes = names.has("memory") ? await loadRedis(bench, peer) : 0;
    const kv = stack.use(new KvServer());
    await kv.start();
    bench.progress("many keys: loading kv");
    await fillWith(bench, kv, "kv", bench.manyKeys);
    if (names.has("memory")) {
      await Bun.sleep(bench.settleMs);
      pairs["memory"] = { kv: constant(kv.residentBytes()), peer: constant(peerBytes) };
    }
    if (names.has("get-many") || names.has("put-many")) {
      const few = stack.use(new KvServer());
      await few.start();
      await fillWith(bench, few, "kv", FEW_KEYS);
      // What a load of millions leaves to do, a checkpoint above all, is not what is measured.
      bench.progress("many keys: waiting until kv has nothing left to do");
      await kv.quiet();
      for (const operation of ["get", "put"] as const) {
        const side = (server: KvServer, keys: number) => {
          const measure = requestSide(bench, server, 64, { dialect: "kv", operation, keys });
          if (operation === "put") return measure;
          return async () => {
            await server.readFiles();
            return measure();
          };
        };
        pairs[`${operation}-many`] = { kv: side(kv, bench.manyKeys), peer: side(few, FEW_KEYS) };
      }
    }
    return pairs;
  },
};

// --- internal ---

const FEW_KEYS = 10_000;

/** What Redis holds in memory with all keys, in bytes. It is gone behind it. */
async function loadRedis(bench: Bench, peer: Peer): Promise<number> {
  await peer.start();
  bench.progress("many keys: loading Redis");
  await fillWith(bench, peer, "redis", bench.manyKeys);
  await Bun.sleep(bench.settleMs);
  const bytes = peer.residentBytes();
  await peer.stop("SIGKILL");
  return bytes;
}

function constant(bytes: number): () => Promise<Sample> {
  return () => Promise.resolve({ value: bytes / 2 ** 20 });
}
