/**
 * Gets and durable puts over WebSocket in binary frames of 100, beside Redis with 100 commands in a
 * pipeline, sent by its own redis-benchmark.
 */

import { KvServer } from "../peers/kv.ts";
import { pipelineSide, redis } from "../peers/redis.ts";
import type { Operation } from "../requests.ts";
import { batchSide, fillWith } from "../sides.ts";
import type { Line, Pair, Workload } from "../workload.ts";

export const batchesRedis: Workload = {
  lines: [lineOf("get", 1, 2), lineOf("get", 8, 1.5), lineOf("put", 1, 1.5), lineOf("put", 8, 1.2)],
  async open(bench, stack, names) {
    const pairs: Record<string, Pair> = {};
    for (const operation of ["get", "put"] as const) {
      const wanted = CONNECTIONS.filter((count) => names.has(nameOf(operation, count)));
      if (wanted.length === 0) continue;
      const kv = stack.use(new KvServer());
      const peer = stack.use(redis({ appendfsync: operation === "put" ? "always" : "none" }));
      await Promise.all([kv.start(), peer.start()]);
      await fillWith(bench, kv, "kv");
      await fillWith(bench, peer, "redis");
      for (const connections of wanted) {
        pairs[nameOf(operation, connections)] = {
          kv: batchSide(bench, kv, { connections, operation, count: OPERATIONS }),
          peer: pipelineSide(bench, peer, { connections, operation, count: OPERATIONS }),
        };
      }
    }
    return pairs;
  },
};

// --- internal ---

const OPERATIONS = 100;
const CONNECTIONS = [1, 8] as const;

function nameOf(operation: Operation, connections: number): string {
  return `frames-${operation}-${connections}`;
}

function lineOf(operation: Operation, connections: number, least: number): Line {
  const many = connections === 1 ? "1 connection" : `${connections} connections`;
  const isGet = operation === "get";
  return {
    name: nameOf(operation, connections),
    title: `${isGet ? "gets" : "durable puts"} in frames of 100, ${many}`,
    against: isGet ? "Redis GET -P 100" : "Redis SET -P 100, appendfsync always",
    unit: "/s",
    goal: { least },
    needs: ["redis-server", "redis-benchmark"],
  };
}
