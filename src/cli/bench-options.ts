/** The flags of `kv bench`, and what they come to. */

import type { ArgsDef } from "citty";
import { KvError } from "../errors.ts";
import { checkKey, utf8Bytes } from "../keys.ts";
import {
  BENCH_CONNECTIONS_MAX,
  BENCH_KEYS_MAX,
  FRAME_ANSWER_BYTES,
  FRAME_OPERATIONS_MAX,
  LIMITS,
} from "../limits.ts";
import { didYouMean, quote } from "../text.ts";
import { keyName } from "./bench-keys.ts";
import type { Traffic } from "./bench-link.ts";
import type { Span } from "./bench-load.ts";
import { WATCH_VALUE_BYTES_MIN } from "./bench-watch.ts";
import { connectionFlags } from "./connection.ts";
import { UsageError } from "./failure.ts";
import { outputFlag } from "./output-flag.ts";
import { parseInteger, parseMilliseconds } from "./values.ts";

export const WORKLOADS = ["put", "get", "mixed", "watch"] as const;
export type Workload = (typeof WORKLOADS)[number];

export const benchFlags = {
  workload: {
    type: "positional",
    required: false,
    description: "put, get, mixed, watch, or several of them in turn; put and get when left out",
  },
  connections: {
    type: "string",
    valueHint: "N",
    default: "64",
    description: "how many connections, and of watch how many watchers; 64 when left out",
  },
  duration: {
    type: "string",
    valueHint: "TIME",
    description: "how long each workload is measured; 10s when left out",
  },
  requests: {
    type: "string",
    valueHint: "N",
    description: "instead of a time: how many operations (of watch: puts) each workload has",
  },
  pipeline: {
    type: "string",
    valueHint: "N",
    description: "put, get and mixed over WebSocket, in binary frames of N operations",
  },
  reads: {
    type: "string",
    valueHint: "N",
    description: "of mixed: how many of 100 operations are gets; 90 when left out",
  },
  keys: {
    type: "string",
    valueHint: "N",
    default: "100000",
    description: "how many keys; 100000 when left out",
  },
  "value-bytes": {
    type: "string",
    valueHint: "N",
    default: "100",
    description: "bytes of each value; 100 when left out",
  },
  prefix: {
    type: "string",
    valueHint: "PREFIX",
    default: "bench/",
    description: "what all its keys begin with; bench/ when left out",
  },
  force: { type: "boolean", description: "go on although other keys begin with the prefix" },
  keep: { type: "boolean", description: "leave its keys there" },
  ...outputFlag(["json", "table"], "the figures as JSON, or a table (the default)"),
  ...connectionFlags,
} as const satisfies ArgsDef;

export interface BenchOptions {
  readonly workloads: readonly Workload[];
  readonly connections: number;
  readonly span: Span;
  /** Operations of a frame; without it each operation is a request over HTTP. */
  readonly pipeline: number | undefined;
  /** Of `mixed`: the gets of 100 operations. */
  readonly reads: number;
  /** Bytes of each key. */
  readonly keyBytes: number;
  readonly traffic: Omit<Traffic, "reads">;
  readonly force: boolean;
  readonly keep: boolean;
}

type BenchArguments = Partial<Record<keyof typeof benchFlags, string | boolean>> & {
  readonly _: readonly string[];
};

/** @throws `UsageError`. */
export function parseBenchOptions(args: BenchArguments): BenchOptions {
  const workloads = parseWorkloads(args._);
  const number = (name: keyof typeof benchFlags, minimum: number, maximum?: number): number =>
    parseInteger(`--${name}`, String(args[name]), minimum, maximum);
  const keys = number("keys", 1, BENCH_KEYS_MAX);
  const valueBytes = number("value-bytes", 0, LIMITS.valueBytesMax);
  const pipeline =
    args.pipeline === undefined ? undefined : number("pipeline", 1, FRAME_OPERATIONS_MAX);
  if (workloads.includes("watch") && valueBytes < WATCH_VALUE_BYTES_MIN) {
    const least = `at least ${WATCH_VALUE_BYTES_MIN} bytes`;
    throw new UsageError(`watch needs values of ${least}: the number of its put stands in each`);
  }
  if ((pipeline ?? 0) * (valueBytes + ANSWER_BYTES) > FRAME_ANSWER_BYTES) {
    const most = Math.floor(FRAME_ANSWER_BYTES / (valueBytes + ANSWER_BYTES));
    const values = `values of ${valueBytes} bytes`;
    if (most === 0) throw new UsageError(`${values} are too large for --pipeline`);
    throw new UsageError(`--pipeline can be ${most} at most with ${values}`);
  }
  checkUse(args, workloads);
  const prefix = String(args.prefix);
  return {
    workloads,
    connections: number("connections", 1, BENCH_CONNECTIONS_MAX),
    span: parseSpan(args),
    pipeline,
    reads: args.reads === undefined ? 90 : number("reads", 0, 100),
    keyBytes: keyBytesOf(prefix),
    traffic: { prefix, keys, value: new Uint8Array(valueBytes).fill("v".charCodeAt(0)) },
    force: args.force === true,
    keep: args.keep === true,
  };
}

// --- internal ---

/** Bytes of a frame's answer to a get, beside the value. */
const ANSWER_BYTES = 64;

function parseWorkloads(words: readonly string[]): Workload[] {
  if (words.length === 0) return ["put", "get"];
  return words.map((word, index) => {
    const known = WORKLOADS.find((workload) => workload === word);
    if (known === undefined) {
      throw new UsageError(`unknown workload ${quote(word)}${didYouMean(word, WORKLOADS)}`);
    }
    if (words.indexOf(word) < index) throw new UsageError(`${word} is given twice`);
    return known;
  });
}

/** Flags that would change nothing are refused, since somebody expects something of them. */
function checkUse(args: BenchArguments, workloads: readonly Workload[]): void {
  if (args.reads !== undefined && !workloads.includes("mixed")) {
    throw new UsageError("--reads is of mixed alone");
  }
  if (args.pipeline !== undefined && workloads.every((workload) => workload === "watch")) {
    throw new UsageError("--pipeline is of put, get and mixed alone");
  }
}

function parseSpan({ duration, requests }: BenchArguments): Span {
  if (requests === undefined) {
    return { milliseconds: parseMilliseconds("--duration", String(duration ?? "10s")) };
  }
  if (duration !== undefined) throw new UsageError("--duration and --requests exclude each other");
  return { operations: parseInteger("--requests", String(requests), 1) };
}

function keyBytesOf(prefix: string): number {
  const key = keyName(prefix, 0);
  try {
    checkKey(key);
  } catch (error) {
    if (error instanceof KvError) throw new UsageError(`--prefix: ${error.message}`);
    throw error;
  }
  return utf8Bytes(key);
}
