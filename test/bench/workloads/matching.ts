/** What a write costs that one watcher gets among 1,000 with other prefixes, and without the others. */

import { KvServer } from "../peers/kv.ts";
import { sampleOf } from "../sides.ts";
import type { Sample, Workload } from "../workload.ts";

export const matching: Workload = {
  lines: [
    {
      name: "matching",
      title: "time of a durable PUT, one of 1,000 prefixes matching",
      against: "kv, that watcher alone",
      unit: "µs",
      goal: { most: 1.3 },
      needs: [],
    },
  ],
  async open(bench, stack) {
    const [many, alone] = [stack.use(new KvServer()), stack.use(new KvServer())];
    await Promise.all([many.start(), alone.start()]);
    const { loader, keys, milliseconds } = bench;
    const plan = { dialect: "kv", operation: "put", keys } as const;
    const side = (server: KvServer, watchers: number) => async (): Promise<Sample> => {
      const options = { port: server.port, connections: 64, milliseconds, plan, watchers };
      const sample = await sampleOf(server, () => loader.run("requests", options));
      return { ...sample, value: 1e6 / sample.value };
    };
    return { matching: { kv: side(many, 1_000), peer: side(alone, 1) } };
  },
};
