/** GET over HTTP, beside a route that answers the same bytes and headers out of a Map. */

import { bare } from "../peers/bare.ts";
import { KvServer } from "../peers/kv.ts";
import { keyOf } from "../keys.ts";
import { fillWith, requestSide } from "../sides.ts";
import type { Workload } from "../workload.ts";

export const getBare: Workload = {
  lines: [
    {
      name: "get-bare",
      title: "GET over HTTP, 64 connections",
      against: "bare Bun route",
      unit: "/s",
      goal: { least: 0.9 },
      needs: [],
    },
  ],
  async open(bench, stack) {
    const kv = stack.use(new KvServer());
    const route = stack.use(bare("get", String(bench.keys)));
    await Promise.all([kv.start(), route.start()]);
    await fillWith(bench, kv, "kv");
    await compareHeads(kv.port, route.port);
    const plan = { dialect: "kv", operation: "get", keys: bench.keys } as const;
    return {
      "get-bare": {
        kv: requestSide(bench, kv, 64, plan),
        peer: requestSide(bench, route, 64, plan),
      },
    };
  },
};

// --- internal ---

/** @throws when the route does not answer what kv does: the comparison would say nothing. */
async function compareHeads(kv: number, route: number): Promise<void> {
  const heads = await Promise.all(
    [kv, route].map(async (port) => {
      const { headers } = await fetch(`http://127.0.0.1:${port}/v1/kv/${keyOf(7)}`);
      const vary = new Set(["etag", "date"]);
      const pairs = [...headers].map(([name, value]) => `${name}: ${vary.has(name) ? "…" : value}`);
      return pairs.sort().join("\n");
    }),
  );
  if (heads[0] !== heads[1]) {
    throw new Error(`the bare route answers other headers\n${heads.join("\n\n")}`);
  }
}
