/** Durable PUT over HTTP, beside etcd's put over its JSON gateway. */

import { etcd } from "../peers/etcd.ts";
import { KvServer } from "../peers/kv.ts";
import { requestSide } from "../sides.ts";
import type { Workload } from "../workload.ts";

export const putEtcd: Workload = {
  lines: [
    {
      name: "put-etcd",
      title: "durable PUT over HTTP, 64 connections",
      against: "etcd put, JSON gateway",
      unit: "/s",
      goal: { least: 4 },
      needs: ["etcd"],
    },
  ],
  async open(bench, stack) {
    const kv = stack.use(new KvServer());
    const peer = stack.use(etcd());
    await Promise.all([kv.start(), peer.start()]);
    const plan = { operation: "put", keys: bench.keys } as const;
    return {
      "put-etcd": {
        kv: requestSide(bench, kv, 64, { dialect: "kv", ...plan }),
        peer: requestSide(bench, peer, 64, { dialect: "etcd", ...plan }),
      },
    };
  },
};
