/** Sides of a pair as most workloads have them: requests of one kind on one server. */

import type { RequestPlan } from "./requests.ts";
import type { Bench, Sample } from "./workload.ts";

/** A server, as far as a sample needs to know it. */
export interface Measured {
  readonly port: number;
  processorMs(): number;
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

/** Answers a second of closed-loop requests. */
export function requestSide(
  bench: Bench,
  server: Measured,
  connections: number,
  plan: RequestPlan,
): () => Promise<Sample> {
  return async () => {
    const before = server.processorMs();
    const result = await bench.loader.run("requests", {
      port: server.port,
      connections,
      milliseconds: bench.milliseconds,
      plan,
    });
    const { answers, milliseconds, processorMs } = result;
    return {
      value: (answers * 1_000) / milliseconds,
      serverCores: (server.processorMs() - before) / milliseconds,
      loaderCores: processorMs / milliseconds,
    };
  };
}
