/** Redis as users run it, in one thread; without rewriting its files, which would cost it time. */

import { VALUE_BYTES } from "../keys.ts";
import { output } from "../processes.ts";
import type { Batches } from "../sides.ts";
import type { Bench, Sample } from "../workload.ts";
import { ask } from "./ask.ts";
import { flags, Peer } from "./peer.ts";

/** Enough to take a moment. */
const FIRST_REQUESTS = 50_000;

export interface RedisOptions {
  /** `always`: an fsync before each answer. `none`: no log at all. */
  readonly appendfsync: "always" | "none";
}

export function redis({ appendfsync }: RedisOptions): Peer {
  const log: Record<string, string> =
    appendfsync === "none" ? { appendonly: "no" } : { appendonly: "yes", appendfsync };
  return new Peer({
    name: "redis-server",
    command: (port, directory) => [
      "redis-server",
      ...flags({ bind: "127.0.0.1", port: String(port), dir: directory }),
      ...flags({ save: "", "auto-aof-rewrite-percentage": "0", ...log }),
    ],
    ready: async (port) => {
      if ((await ask(port, "PING")) !== "+PONG") throw new Error("not ready");
    },
  });
}

/**
 * Commands a second by redis-benchmark in one thread, on the keys that the loaders use too. It counts
 * requests, not time: how many make a sample is worked out from the sample before.
 */
export function pipelineSide(bench: Bench, server: Peer, batches: Batches): () => Promise<Sample> {
  const { connections, operation, count } = batches;
  let requests = FIRST_REQUESTS;
  return async () => {
    const before = server.processorMs();
    const began = performance.now();
    const words = {
      "-p": server.port,
      "-c": connections,
      "-P": count,
      "-n": requests,
      "-r": bench.keys,
      "-d": VALUE_BYTES,
      "-t": operation === "get" ? "get" : "set",
    };
    const command = ["redis-benchmark", "--csv", ...Object.entries(words).flat().map(String)];
    const rate = parseRate(await output(command));
    const milliseconds = performance.now() - began;
    const serverMs = server.processorMs() - before;
    const serverMicros = (serverMs * 1_000) / requests;
    // Whole pipelines: it gives up where more were answered than it was told to send.
    const pipelines = Math.round((rate * bench.milliseconds) / 1_000 / count);
    requests = Math.max(FIRST_REQUESTS, pipelines * count);
    return { value: rate, serverCores: serverMs / milliseconds, serverMicros };
  };
}

/** The requests a second in what `redis-benchmark --csv` prints. */
export function parseRate(csv: string): number {
  const rate = /^"(?:GET|SET)","([\d.]+)"/m.exec(csv)?.[1];
  if (rate === undefined) throw new Error(`redis-benchmark said no rate:\n${csv}`);
  return Number(rate);
}
