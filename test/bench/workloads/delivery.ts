/**
 * From the moment at which a write is due until a watcher has it, at half of the load that the server
 * can bear; the slowest of a hundred, beside the slowest of a hundred syncs of the disk.
 */

import { timeFdatasyncs } from "../machine.ts";
import { KvServer } from "../peers/kv.ts";
import { requestSide } from "../sides.ts";
import { percentile } from "../statistics.ts";
import type { Workload } from "../workload.ts";

export const delivery: Workload = {
  lines: [
    {
      name: "delivery",
      title: "PUT due → delivered to a watcher at half load, p99",
      against: "fdatasync, p99",
      unit: "ms",
      goal: { most: 3 },
      needs: [],
    },
  ],
  async open(bench, stack) {
    const kv = stack.use(new KvServer());
    await kv.start();
    const { loader, keys, milliseconds } = bench;
    const plan = { dialect: "kv", operation: "put", keys } as const;
    const full = requestSide(bench, kv, CONNECTIONS, plan);
    await full();
    const perSecond = (await full()).value / 2;
    return {
      delivery: {
        async kv() {
          const options = {
            port: kv.port,
            connections: CONNECTIONS,
            keys,
            milliseconds,
            perSecond,
          };
          const { latencies } = await loader.run("delivery", options);
          return { value: percentile(latencies!, 0.99) };
        },
        async peer() {
          return { value: percentile(timeFdatasyncs(SYNCS), 0.99) };
        },
      },
    };
  },
};

// --- internal ---

const CONNECTIONS = 64;
/** Of one sample: enough for a percentile of 99, over in a moment. */
const SYNCS = 1_000;
