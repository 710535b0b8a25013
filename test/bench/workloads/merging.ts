/**
 * How long a GET takes while segments are being merged, beside a server that keeps all history and
 * has nothing to merge. Every other request is a durable PUT, so that there is something to merge.
 */

import { KvServer } from "../peers/kv.ts";
import { fillWith } from "../sides.ts";
import { percentile } from "../statistics.ts";
import type { Sample, Workload } from "../workload.ts";

export const merging: Workload = {
  lines: [
    {
      name: "merging",
      title: "GET while a merge runs, among PUTs, p99",
      against: "kv, without merges",
      unit: "ms",
      goal: { most: 3 },
      needs: [],
    },
  ],
  async open(bench, stack) {
    const busy = stack.use(new KvServer(["--history-bytes", "1MiB", "--segment-bytes", "2MiB"]));
    const quiet = stack.use(new KvServer(["--history", "all", "--history-bytes", "all"]));
    await Promise.all([busy.start(), quiet.start()]);
    for (const server of [busy, quiet]) await fillWith(bench, server, "kv", KEYS);
    const { loader, milliseconds } = bench;
    const plan = { dialect: "kv", operation: "get", keys: KEYS } as const;
    const latencies = async (server: KvServer): Promise<readonly number[]> => {
      const { port } = server;
      const isMerging = server === busy && { whileMerging: server.directory };
      const options = { port, connections: 64, milliseconds, plan, withPuts: true, ...isMerging };
      return (await loader.run("requests", { ...options, withLatencies: true })).latencies!;
    };
    return {
      merging: {
        async kv() {
          const times: number[] = [];
          const began = performance.now();
          while (times.length < GETS_MIN) {
            if (performance.now() - began > MERGE_MS_MAX)
              throw new Error("no merge ran for long enough");
            times.push(...(await latencies(busy)));
          }
          return sampleOf(times);
        },
        peer: async () => sampleOf(await latencies(quiet)),
      },
    };
  },
};

// --- internal ---

/** Few, so that a merge is worth its while every few seconds. */
const KEYS = 10_000;

/** Of one sample, while a merge runs. */
const GETS_MIN = 500;
/** A merge comes whenever enough of the log is dead, which on a slow disk takes a while. */
const MERGE_MS_MAX = 120_000;

function sampleOf(times: readonly number[]): Sample {
  return {
    value: percentile(
      times.toSorted((a, b) => a - b),
      0.99,
    ),
  };
}
