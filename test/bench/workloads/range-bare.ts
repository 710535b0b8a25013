/** A range of a million entries as NDJSON, beside a route that streams the same bytes. */

import { bare } from "../peers/bare.ts";
import { KvServer } from "../peers/kv.ts";
import { fillWith, sampleOf, type Measured } from "../sides.ts";
import type { Sample, Workload } from "../workload.ts";

export const rangeBare: Workload = {
  lines: [
    {
      name: "range-bare",
      title: "entries of a range of 1 million as NDJSON",
      against: "bare route, same bytes",
      unit: "/s",
      goal: { least: 0.5 },
      needs: [],
    },
  ],
  async open(bench, stack) {
    const kv = stack.use(new KvServer());
    await kv.start();
    await fillWith(bench, kv, "kv", bench.rangeKeys);
    const route = stack.use(bare("stream", `${kv.url}${PATH}`));
    await route.start();
    const lines = bench.rangeKeys;
    const expected = await bench.loader.run("stream", { port: kv.port, path: PATH, lines });
    const side = (server: Measured) => (): Promise<Sample> =>
      sampleOf(server, async () => {
        const result = await bench.loader.run("stream", { port: server.port, path: PATH });
        if (result.bytes !== expected.bytes) throw new Error("the two streams are not the same");
        return { ...result, answers: lines };
      });
    return { "range-bare": { kv: side(kv), peer: side(route) } };
  },
};

// --- internal ---

const PATH = "/v1/kv";
