/** Durable PUT over HTTP, beside SET of Redis with an fsync before each answer. */

import { KvServer } from "../peers/kv.ts";
import { redis } from "../peers/redis.ts";
import { fillWith, requestSide } from "../sides.ts";
import type { Line, Workload } from "../workload.ts";

export const putRedis: Workload = {
  lines: [lineOf(64), lineOf(256)],
  async open(bench, stack) {
    const kv = stack.use(new KvServer());
    const peer = stack.use(redis({ appendfsync: "always" }));
    await Promise.all([kv.start(), peer.start()]);
    await fillWith(bench, kv, "kv");
    await fillWith(bench, peer, "redis");
    const plan = { operation: "put", keys: bench.keys } as const;
    const pairOf = (connections: number) => ({
      kv: requestSide(bench, kv, connections, { dialect: "kv", ...plan }),
      peer: requestSide(bench, peer, connections, { dialect: "redis", ...plan }),
    });
    return { "put-redis-64": pairOf(64), "put-redis-256": pairOf(256) };
  },
};

// --- internal ---

function lineOf(connections: number): Line {
  return {
    name: `put-redis-${connections}`,
    title: `durable PUT over HTTP, ${connections} connections`,
    against: "Redis SET, appendfsync always",
    unit: "/s",
    goal: { least: 1 },
    needs: ["redis-server"],
  };
}
