/**
 * `bun run bench [ROUNDS]`: GET and durable PUT over HTTP by 64 connections, beside a bare Bun route in
 * the same run. What counts is the ratio: both have the same machine, client and moment. Rounds
 * alternate and the median of the ratios is shown, so that a slow moment hits both.
 */

import { join } from "node:path";
import { build, isStale } from "../../scripts/build.ts";
import { startServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { measure, requestBytes } from "./load.ts";

const CONNECTIONS = 64;
const MILLISECONDS = 1_000;
const KEYS = 10_000;
const VALUE = "x".repeat(100);

/** A kind of request, which both servers answer. */
interface Scenario {
  readonly name: string;
  readonly requests: readonly Uint8Array[];
}

const paths = Array.from({ length: KEYS }, (_, index) => `/v1/kv/key-${index}`);

const scenarios: readonly Scenario[] = [
  { name: "PUT", requests: paths.map((path) => requestBytes("PUT", path, VALUE)) },
  { name: "GET", requests: paths.map((path) => requestBytes("GET", path)) },
];

await main(Number(process.argv[2] ?? 5));

// --- internal ---

async function main(rounds: number): Promise<void> {
  if (isStale()) build();
  using directory = temporaryDirectory();
  await using kv = await startServerProcess({ directory: directory.path });
  const bare = Bun.spawn([process.execPath, join(import.meta.dir, "bare-server.ts")], {
    stdout: "pipe",
  });
  try {
    const barePort = await firstNumber(bare.stdout);
    await fill(kv.port);
    console.log(`${CONNECTIONS} connections, values of ${VALUE.length} bytes, ${KEYS} keys`);
    for (const scenario of scenarios)
      console.log(await compare(scenario, kv.port, barePort, rounds));
  } finally {
    bare.kill();
    await bare.exited;
  }
}

/** Every key once, so that no GET misses. */
async function fill(port: number): Promise<void> {
  await Promise.all(
    paths.map((path) => fetch(`http://127.0.0.1:${port}${path}`, { method: "PUT", body: VALUE })),
  );
}

async function compare(
  scenario: Scenario,
  port: number,
  barePort: number,
  rounds: number,
): Promise<string> {
  const run = (target: number): Promise<number> =>
    measure({
      port: target,
      connections: CONNECTIONS,
      milliseconds: MILLISECONDS,
      request: (connection, n) => scenario.requests[(connection * 131 + n) % KEYS]!,
    });
  const rates: { kv: number; bare: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    rates.push({ kv: await run(port), bare: await run(barePort) });
  }
  const kv = median(rates.map((rate) => rate.kv));
  const bare = median(rates.map((rate) => rate.bare));
  const ratio = median(rates.map((rate) => rate.kv / rate.bare));
  return `${scenario.name}: kv ${thousands(kv)}/s, bare Bun ${thousands(bare)}/s, ratio ${ratio.toFixed(2)}`;
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function thousands(rate: number): string {
  return `${(rate / 1_000).toFixed(1)} k`;
}

async function firstNumber(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<number> {
  for await (const chunk of stream) return Number(new TextDecoder().decode(chunk));
  throw new Error("the bare server ended without a word");
}
