/** What a loader can be told to do: a name, what it needs to know, and what it answers. */

import type { BatchDialect } from "./batches.ts";
import type { Operation, RequestPlan } from "./requests.ts";
import type { WatchDialect } from "./watchers.ts";

export interface Jobs {
  /** Closed-loop requests on many connections. */
  requests: {
    options: {
      port: number;
      connections: number;
      milliseconds: number;
      plan: RequestPlan;
      /** Watchers to have meanwhile, each with a prefix of its own; the keys are under the first. */
      watchers?: number;
      /** Makes every other request a put; latencies are those of the others. */
      withPuts?: boolean;
      /** A data directory: latencies count only while a merge runs there. */
      whileMerging?: string;
      /** Ask for the latencies too, which costs a little. */
      withLatencies?: boolean;
    };
    result: LoadResult;
  };
  /** Closed-loop batches: operations a second, not messages. */
  batches: {
    options: {
      port: number;
      connections: number;
      milliseconds: number;
      dialect: BatchDialect;
      operation: Operation;
      /** Keys from 0 up to this number. */
      keys: number;
      /** Operations in one message. */
      count: number;
    };
    result: LoadResult;
  };
  /** Writes that many watchers get. `answers` are deliveries. */
  fanOut: { options: FanOutOptions; result: LoadResult };
  /** Writes at a steady rate. `latencies` are from the moment each was due to its delivery. */
  delivery: { options: DeliveryOptions; result: LoadResult };
  /** One streamed answer. */
  stream: { options: StreamOptions; result: StreamResult };
  /** Puts every key of a plan once, in no order, many on their way at a time. */
  fill: { options: FillOptions; result: { milliseconds: number } };
}

export interface FanOutOptions {
  readonly port: number;
  /** A bare publish is spoken to as kv is. */
  readonly dialect: WatchDialect;
  readonly watchers: number;
  /** Of those who write. */
  readonly connections: number;
  readonly milliseconds: number;
  readonly keys: number;
}

export interface DeliveryOptions {
  readonly port: number;
  readonly connections: number;
  readonly milliseconds: number;
  readonly keys: number;
  /** Writes. */
  readonly perSecond: number;
}

export interface StreamOptions {
  readonly port: number;
  readonly path: string;
  /** How many lines there have to be at least; not counted when left out. */
  readonly lines?: number;
}

export interface StreamResult {
  /** Of the body. */
  readonly bytes: number;
  readonly milliseconds: number;
  readonly processorMs: number;
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
