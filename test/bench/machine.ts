/** What the figures were taken on: the machine, its disk, and the versions of everything. */

import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { arch, cpus, release, totalmem, type } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { isThere } from "../support/needs.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { percentile } from "./statistics.ts";

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  /** Of the directory that the data are in: `ext4`. */
  readonly fileSystem: string;
  readonly fdatasync: { readonly p50Ms: number; readonly p99Ms: number };
  /** `undefined` where it is not on the PATH. */
  readonly versions: Readonly<Record<string, string | undefined>>;
  readonly commit: string;
  /** RFC 3339. */
  readonly at: string;
}

export function describeMachine(directory: string): Machine {
  const processors = cpus();
  return {
    processor: processors[0]?.model ?? arch(),
    cores: processors.length,
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    fileSystem: fileSystemOf(directory, readFileSync("/proc/self/mounts", "utf8")),
    fdatasync: measureFdatasync(SYNCS),
    versions: {
      kv: manifest.version,
      bun: Bun.version,
      ...Object.fromEntries(TOOLS.map(([name, ...command]) => [name, versionOf(command)])),
    },
    commit: firstLine(["git", "-C", import.meta.dir, "rev-parse", "--short", "HEAD"]) ?? "unknown",
    at: new Date().toISOString(),
  };
}

/** Lines for people. */
export function showMachine(machine: Machine): string {
  const { fdatasync, versions } = machine;
  const known = Object.entries(versions).filter(([, version]) => version !== undefined);
  return [
    `${machine.processor}, ${machine.cores} cores, ${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB`,
    `${machine.kernel}, ${machine.fileSystem}, fdatasync p50 ${fdatasync.p50Ms.toFixed(2)} ms, p99 ${fdatasync.p99Ms.toFixed(2)} ms`,
    known.map(([name, version]) => `${name} ${version}`).join(", "),
    `commit ${machine.commit}, ${machine.at}`,
  ]
    .map((line) => `${line}\n`)
    .join("");
}

/** Milliseconds of `count` fdatasyncs, each after 200 more bytes of a file, sorted. */
export function timeFdatasyncs(count: number): Float64Array {
  using directory = temporaryDirectory();
  const file = openSync(join(directory.path, "probe"), "w");
  const bytes = Buffer.alloc(200, "x");
  const times = new Float64Array(count);
  try {
    for (let index = 0; index < count; index++) {
      writeSync(file, bytes);
      const began = performance.now();
      fdatasyncSync(file);
      times[index] = performance.now() - began;
    }
  } finally {
    closeSync(file);
  }
  return times.sort();
}

/** The kind of the mount that `directory` is on, by the lines of `/proc/self/mounts`. */
export function fileSystemOf(directory: string, mounts: string): string {
  let best = { point: "", kind: "unknown" };
  for (const line of mounts.split("\n")) {
    const [, point = "", kind = ""] = line.split(" ");
    const isAround = directory === point || directory.startsWith(point === "/" ? "/" : `${point}/`);
    // Of two mounts on one point the later one is seen.
    if (point !== "" && isAround && point.length >= best.point.length) best = { point, kind };
  }
  return best.kind;
}

// --- internal ---

const SYNCS = 1_000;

const TOOLS = [
  ["redis", "redis-server", "--version"],
  ["etcd", "etcd", "--version"],
  ["nats-server", "nats-server", "--version"],
] as const;

function measureFdatasync(count: number): Machine["fdatasync"] {
  const times = timeFdatasyncs(count);
  return { p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99) };
}

function versionOf(command: readonly string[]): string | undefined {
  return /\d+\.\d+\.\d+/.exec(firstLine(command) ?? "")?.[0];
}

/** `undefined` when the command is not there or fails. */
function firstLine(command: readonly string[]): string | undefined {
  if (!isThere(command[0]!)) return undefined;
  const { exitCode, stdout } = Bun.spawnSync([...command]);
  return exitCode === 0 ? stdout.toString().split("\n")[0] : undefined;
}
