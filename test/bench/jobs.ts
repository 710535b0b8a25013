/** What a loader can be told to do: a name, what it needs to know, and what it answers. */

import type { RequestPlan } from "./requests.ts";

export interface Jobs {
  /** Closed-loop requests on many connections. */
  requests: {
    options: {
      port: number;
      connections: number;
      milliseconds: number;
      plan: RequestPlan;
      /** Ask for the latencies too, which costs a little. */
      withLatencies?: boolean;
    };
    result: LoadResult;
  };
  /** Puts every key of a plan once, in no order, many on their way at a time. */
  fill: { options: FillOptions; result: { milliseconds: number } };
}

export interface FillOptions {
  readonly port: number;
  readonly dialect: RequestPlan["dialect"];
  readonly keys: number;
}

export interface LoadResult {
  readonly answers: number;
  readonly milliseconds: number;
  /** Milliseconds of a core that the loader took. */
  readonly processorMs: number;
  /** Milliseconds, sorted, where they were asked for. */
  readonly latencies?: readonly number[];
}

export type JobName = keyof Jobs;
