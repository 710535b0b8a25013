/** GET over HTTP, beside etcd's range of one key over its JSON gateway. */

import { etcd } from "../peers/etcd.ts";
import { KvServer } from "../peers/kv.ts";
import { fillWith, requestSide } from "../sides.ts";
import type { Workload } from "../workload.ts";

export const getEtcd: Workload = {
  lines: [
    {
      name: "get-etcd",
      title: "GET over HTTP, 64 connections",
      against: "etcd range, JSON gateway",
      unit: "/s",
      goal: { least: 6 },
      needs: ["etcd"],
    },
  ],
  async open(bench, stack) {
    const kv = stack.use(new KvServer());
    const peer = stack.use(etcd());
    await Promise.all([kv.start(), peer.start()]);
    await fillWith(bench, kv, "kv", bench.slowKeys);
    await fillWith(bench, peer, "etcd", bench.slowKeys);
    const plan = { operation: "get", keys: bench.slowKeys } as const;
    return {
      "get-etcd": {
        kv: requestSide(bench, kv, 64, { dialect: "kv", ...plan }),
        peer: requestSide(bench, peer, 64, { dialect: "etcd", ...plan }),
      },
    };
  },
};
