/**
 * `bun test/bench/merge-latency.ts [ROUNDS]`: how long requests take while segments are merged, beside
 * a server that keeps all history and merges nothing. 64 connections, every other request a durable
 * PUT, the others GETs. Rounds alternate.
 */

import { readdirSync } from "node:fs";
import { build, isStale } from "../../scripts/build.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { measure, requestBytes } from "./load.ts";

const CONNECTIONS = 64;
const MILLISECONDS = 5_000;
const KEYS = 20_000;
const VALUE = "x".repeat(400);

const paths = Array.from({ length: KEYS }, (_, index) => `/v1/kv/key-${index}`);
const puts = paths.map((path) => requestBytes("PUT", path, VALUE));
const gets = paths.map((path) => requestBytes("GET", path));

if (isStale()) build();
await main(Number(process.argv[2] ?? 3));

// --- internal ---

interface Latencies {
  readonly get: number[];
  readonly put: number[];
}

async function main(rounds: number): Promise<void> {
  using quietDirectory = temporaryDirectory();
  using mergingDirectory = temporaryDirectory();
  await using quiet = await startServerProcess({
    directory: quietDirectory.path,
    flags: ["--history", "all", "--history-bytes", "all"],
  });
  await using merging = await startServerProcess({
    directory: mergingDirectory.path,
    flags: ["--history-bytes", "8MiB", "--segment-bytes", "32MiB"],
  });
  await Promise.all([quiet, merging].map(({ port }) => fill(port)));
  const all = { quiet: empty(), merging: empty() };
  let merges = 0;
  for (let round = 0; round < rounds; round++) {
    await load(quiet, all.quiet);
    const count = countMerges(mergingDirectory.path);
    await load(merging, all.merging);
    merges += count();
  }
  console.log(`${CONNECTIONS} connections, ${rounds} rounds of ${MILLISECONDS / 1_000} s each`);
  console.log(`merges seen under load: ${merges}`);
  for (const kind of ["get", "put"] as const) {
    for (const name of ["quiet", "merging"] as const) console.log(row(kind, name, all[name][kind]));
  }
}

function empty(): Latencies {
  return { get: [], put: [] };
}

async function fill(port: number): Promise<void> {
  await measure({
    port,
    connections: 1,
    milliseconds: 1,
    request: () => puts[0]!,
  });
  for (let at = 0; at < KEYS; at += 500) {
    const some = paths.slice(at, at + 500);
    const url = (path: string): string => `http://127.0.0.1:${port}${path}`;
    await Promise.all(some.map((path) => fetch(url(path), { method: "PUT", body: VALUE })));
  }
}

async function load({ port }: ServerProcess, { get, put }: Latencies): Promise<void> {
  await measure({
    port,
    connections: CONNECTIONS,
    milliseconds: MILLISECONDS,
    request: (connection, n) => (n % 2 === 0 ? puts : gets)[(connection * 131 + n * 7) % KEYS]!,
    onAnswer: (_, n, milliseconds) => void (n % 2 === 0 ? put : get).push(milliseconds),
  });
}

/** Counts segments that are being merged, as they show in the directory; the result ends it. */
function countMerges(directory: string): () => number {
  let merges = 0;
  let was = false;
  const timer = setInterval(() => {
    const is = readdirSync(directory).some((name) => name.endsWith(".log.tmp"));
    if (is && !was) merges++;
    was = is;
  }, 20);
  return () => {
    clearInterval(timer);
    return merges;
  };
}

function row(kind: string, name: string, values: number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(1);
  const figures = `p50 ${at(0.5)}, p99 ${at(0.99)}, p99.9 ${at(0.999)}, longest ${at(1)} ms`;
  return `${kind} ${name.padEnd(8)} ${figures} (${sorted.length})`;
}
