/** GET over HTTP, beside GET of Redis without pipelining. */

import { KvServer } from "../peers/kv.ts";
import { redis } from "../peers/redis.ts";
import { fillWith, requestSide } from "../sides.ts";
import type { Workload } from "../workload.ts";

export const getRedis: Workload = {
  lines: [
    {
      name: "get-redis",
      title: "GET over HTTP, 64 connections",
      against: "Redis GET",
      unit: "/s",
      goal: { least: 0.9 },
      needs: ["redis-server"],
    },
  ],
  async open(bench, stack) {
    const kv = stack.use(new KvServer());
    const peer = stack.use(redis({ appendfsync: "none" }));
    await Promise.all([kv.start(), peer.start()]);
    await fillWith(bench, kv, "kv");
    await fillWith(bench, peer, "redis");
    const plan = { operation: "get", keys: bench.keys } as const;
    return {
      "get-redis": {
        kv: requestSide(bench, kv, 64, { dialect: "kv", ...plan }),
        peer: requestSide(bench, peer, 64, { dialect: "redis", ...plan }),
      },
    };
  },
};
