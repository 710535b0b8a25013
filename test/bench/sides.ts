/** Sides of a pair as most workloads have them: requests of one kind on one server. */

import type { LoadResult } from "./jobs.ts";
import type { Operation, RequestPlan } from "./requests.ts";
import type { Bench, Sample } from "./workload.ts";

/** A server, as far as a sample needs to know it. */
export interface Measured {
  readonly port: number;
  processorMs(): number;
}

export interface Batches {
  readonly connections: number;
  readonly operation: Operation;
  /** Operations in one message. */
  readonly count: number;
}

/** Puts every key once. */
export async function fillWith(
  bench: Bench,
  { port }: Measured,
  dialect: RequestPlan["dialect"],
  keys = bench.keys,
): Promise<void> {
  await bench.loader.run("fill", { port, dialect, keys });
}

/** Operations a second in closed-loop binary frames. */
export function batchSide(bench: Bench, server: Measured, batches: Batches): () => Promise<Sample> {
  const { loader, keys, milliseconds } = bench;
  return () =>
    sampleOf(server, () =>
      loader.run("batches", { ...batches, port: server.port, dialect: "kv", keys, milliseconds }),
    );
}

/** Answers a second of closed-loop requests. */
export function requestSide(
  bench: Bench,
  server: Measured,
  connections: number,
  plan: RequestPlan,
): () => Promise<Sample> {
  const { loader, milliseconds } = bench;
  return () =>
    sampleOf(server, () =>
      loader.run("requests", { port: server.port, connections, milliseconds, plan }),
    );
}

/** What came of some load, with how busy the server was meanwhile. */
export async function sampleOf(server: Measured, run: () => Promise<LoadResult>): Promise<Sample> {
  const before = server.processorMs();
  const { answers, milliseconds, processorMs } = await run();
  const serverMs = server.processorMs() - before;
  return {
    value: (answers * 1_000) / milliseconds,
    serverCores: serverMs / milliseconds,
    loaderCores: processorMs / milliseconds,
    serverMicros: (serverMs * 1_000) / answers,
  };
}
