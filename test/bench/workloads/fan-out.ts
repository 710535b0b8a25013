/** Puts that 1,000 watchers of all keys get, beside a bare `server.publish`, and beside NATS. */

import { bare } from "../peers/bare.ts";
import { KvServer } from "../peers/kv.ts";
import { nats } from "../peers/nats.ts";
import { sampleOf, type Measured } from "../sides.ts";
import type { WatchDialect } from "../watchers.ts";
import type { Line, Pair, Sample, Workload } from "../workload.ts";

const title = "deliveries to 1,000 watchers of all keys";

const lines = [
  {
    name: "fan-out-bare",
    title,
    against: "bare server.publish",
    unit: "/s",
    goal: { least: 0.9 },
    needs: [],
  },
  {
    name: "fan-out-nats",
    title,
    against: "core NATS, publish",
    unit: "/s",
    goal: undefined,
    needs: ["nats-server"],
  },
] as const satisfies Line[];

export const fanOut: Workload = {
  lines,
  async open(bench, stack, names) {
    const kv = stack.use(new KvServer());
    await kv.start();
    const { loader, keys, milliseconds } = bench;
    const rest = { watchers: 1_000, connections: 64, milliseconds, keys };
    const side = (server: Measured, dialect: WatchDialect) => (): Promise<Sample> =>
      sampleOf(server, () => loader.run("fanOut", { port: server.port, dialect, ...rest }));
    const pairs: Record<string, Pair> = {};
    for (const { name } of lines.filter(({ name }) => names.has(name))) {
      const peer = stack.use(name === "fan-out-nats" ? nats() : bare("publish", ""));
      await peer.start();
      const dialect = name === "fan-out-nats" ? "nats" : "kv";
      pairs[name] = { kv: side(kv, "kv"), peer: side(peer, dialect) };
    }
    return pairs;
  },
};
