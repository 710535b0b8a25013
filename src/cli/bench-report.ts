/** What a bench says in the end: what was measured, where, and with which figures. */

import type { JsonStatus } from "../json.ts";
import { escapeControls, showText } from "./output.ts";
import { showCount } from "./preview.ts";
import { Table } from "./table.ts";
import { VERSION } from "../version.ts";
import type { BenchOptions, Workload } from "./bench-options.ts";
import type { Tally } from "./bench-tally.ts";

export interface Measured {
  readonly workload: Workload;
  readonly tally: Tally;
}

/** The figures for people: a few lines on what they are of, and a table. */
export function describeBench(
  url: string,
  status: JsonStatus,
  options: BenchOptions,
  measured: readonly Measured[],
): string {
  const { connections, pipeline, traffic } = options;
  const each =
    pipeline === undefined
      ? "one request at a time each, over HTTP"
      : `one frame of ${showCount(pipeline, "operation")} at a time each, over WebSocket`;
  const keyBytes = options.keyBytes;
  const rows = [
    ["server", `${url}, kv ${status.version}`],
    ["store", `engine ${status.engine}, durability ${status.durability}`],
    ["client", `kv ${VERSION}, ${process.platform} ${process.arch}, ${processors()}`],
    ...(options.workloads.every((workload) => workload === "watch")
      ? []
      : [["load", `${showCount(connections, "connection")}, ${each}`]]),
    [
      "keys",
      `${showCount(traffic.keys, "key")} of ${showCount(keyBytes, "byte")} under ` +
        `${showText(traffic.prefix)}, values of ${showCount(traffic.value.length, "byte")}`,
    ],
  ];
  const head = rows.map(([name, text]) => `${name!.padEnd(8)}${escapeControls(text!)}\n`).join("");
  return `${head}\n${tableOf(options, measured)}${notesOf(options, measured)}`;
}

/** The same for programs; times are in milliseconds. */
export function benchToJson(
  url: string,
  status: JsonStatus,
  options: BenchOptions,
  measured: readonly Measured[],
): object {
  const { connections, pipeline, traffic } = options;
  const { version, store, engine, durability } = status;
  return {
    server: { url, version, store, engine, durability },
    client: {
      version: VERSION,
      platform: process.platform,
      architecture: process.arch,
      processors: navigator.hardwareConcurrency,
    },
    transport: pipeline === undefined ? "http" : "websocket",
    connections,
    pipeline: pipeline ?? 1,
    keys: traffic.keys,
    keyBytes: options.keyBytes,
    valueBytes: traffic.value.length,
    prefix: traffic.prefix,
    results: measured.map(({ workload, tally }) => ({
      workload,
      ...(workload === "mixed" ? { reads: options.reads } : undefined),
      operations: tally.operations,
      failures: tally.failures,
      errors: tally.errors(),
      seconds: rounded(tally.elapsedMs / 1_000),
      perSecond: rounded(tally.perSecond),
      latencyMs: {
        mean: rounded(tally.times.meanMs),
        ...Object.fromEntries(
          PERCENTILES.map(([name, share]) => [name, rounded(tally.times.percentileMs(share))]),
        ),
        max: rounded(tally.times.maxMs),
      },
    })),
  };
}

// --- internal ---

const PERCENTILES: readonly (readonly [name: string, share: number])[] = [
  ["p50", 0.5],
  ["p90", 0.9],
  ["p99", 0.99],
  ["p999", 0.999],
];

function tableOf({ reads }: BenchOptions, measured: readonly Measured[]): string {
  const figures = ["OPERATIONS", "ERRORS", "SECONDS", "PER SECOND"];
  const times = ["P50", "P90", "P99", "P99.9", "MAX"];
  const table = new Table(["WORKLOAD", ...figures, ...times], [...figures, ...times]);
  return table.format(
    measured.map(({ workload, tally }) => [
      workload === "mixed" ? `mixed, ${reads} % gets` : workload,
      count(tally.operations),
      count(tally.failures),
      (tally.elapsedMs / 1_000).toFixed(1),
      count(Math.round(tally.perSecond)),
      ...PERCENTILES.map(([, share]) => showTime(tally.times.percentileMs(share))),
      showTime(tally.times.maxMs),
    ]),
  );
}

/** What stands below the table: the errors, and what an operation of a watch is. */
function notesOf({ connections }: BenchOptions, measured: readonly Measured[]): string {
  const lines = measured.flatMap(({ workload, tally }) =>
    tally.errors().map(({ code, count, message }) => {
      return `${workload}: ${showCount(count, "error")} ${code}; the first: ${message}`;
    }),
  );
  if (measured.some(({ workload }) => workload === "watch")) {
    const watchers = `${showCount(connections, "watcher")} over WebSocket`;
    lines.push(
      `watch: ${watchers}, and one connection that puts over HTTP, one put after another;`,
      "       an operation is an event at one watcher, and its time begins with its put",
    );
  }
  return lines.length === 0 ? "" : `\n${lines.map((line) => `${escapeControls(line)}\n`).join("")}`;
}

function processors(): string {
  return showCount(navigator.hardwareConcurrency, "processor");
}

function count(number: number): string {
  return number.toLocaleString("en-US");
}

/** Three digits that count, in the unit that fits. */
function showTime(milliseconds: number): string {
  if (milliseconds === 0) return "-";
  if (milliseconds < 0.9995) return `${digits(milliseconds * 1_000)} µs`;
  if (milliseconds < 999.5) return `${digits(milliseconds)} ms`;
  return `${digits(milliseconds / 1_000)} s`;
}

function digits(number: number): string {
  if (number >= 99.95) return number.toFixed(0);
  return number.toFixed(number < 9.995 ? 2 : 1);
}

/** To the microsecond. */
function rounded(number: number): number {
  return Math.round(number * 1_000) / 1_000;
}
