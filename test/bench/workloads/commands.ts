/** One get as a whole process, from its start to its end, beside the commands of Redis and etcd. */

import { keyOf, valueOf } from "../keys.ts";
import { etcd } from "../peers/etcd.ts";
import { KvServer } from "../peers/kv.ts";
import { redis } from "../peers/redis.ts";
import { fillWith } from "../sides.ts";
import { executable } from "../../../scripts/build.ts";
import { median } from "../statistics.ts";
import type { Line, Pair, Sample, Workload } from "../workload.ts";

const lines = [
  lineOf("command-redis", "redis-cli get", 1.5, ["redis-server", "redis-cli"]),
  lineOf("command-etcd", "etcdctl get", 1, ["etcd", "etcdctl"]),
];

export const commands: Workload = {
  lines,
  async open(bench, stack, names) {
    const kv = stack.use(new KvServer());
    await kv.start();
    await fillWith(bench, kv, "kv", KEYS);
    const ours = commandSide([executable, "get", "--url", kv.url, KEY]);
    const pairs: Record<string, Pair> = {};
    if (names.has("command-redis")) {
      const peer = stack.use(redis({ appendfsync: "none" }));
      await peer.start();
      await fillWith(bench, peer, "redis", KEYS);
      const port = String(peer.port);
      pairs["command-redis"] = {
        kv: ours,
        peer: commandSide(["redis-cli", "-p", port, "get", KEY]),
      };
    }
    if (names.has("command-etcd")) {
      const peer = stack.use(etcd());
      await peer.start();
      await fillWith(bench, peer, "etcd", KEYS);
      const url = `http://127.0.0.1:${peer.port}`;
      const command = ["etcdctl", `--endpoints=${url}`, "get", "--print-value-only", KEY];
      pairs["command-etcd"] = { kv: ours, peer: commandSide(command, { ETCDCTL_API: "3" }) };
    }
    return pairs;
  },
};

// --- internal ---

const KEYS = 1_000;
const KEY = keyOf(7);
/** Of one sample. */
const COMMANDS = 20;

function lineOf(name: string, against: string, most: number, needs: Line["needs"]): Line {
  const title = "kv get as a whole process";
  return { name, title, against, unit: "ms", goal: { most }, needs };
}

/** The median of some runs, one after the other. */
function commandSide(
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): () => Promise<Sample> {
  const env = { ...process.env, ...environment };
  return () => {
    const times = Array.from({ length: COMMANDS }, () => {
      const began = performance.now();
      const { exitCode, stdout, stderr } = Bun.spawnSync([...command], { env });
      const milliseconds = performance.now() - began;
      if (exitCode !== 0 || stdout.toString().trimEnd() !== valueOf(7)) {
        throw new Error(`${command.join(" ")} ended with ${exitCode}:\n${stdout}${stderr}`);
      }
      return milliseconds;
    });
    return Promise.resolve({ value: median(times) });
  };
}
