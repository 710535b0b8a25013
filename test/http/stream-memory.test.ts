/**
 * Memory of the server while it streams a long range, to a client that takes all at once and to one
 * that is slow: the peak that the system counts, above what the idle server has. 50,000 entries in a
 * quick run, whose sum is no large one; a million with `KV_TEST_ROUNDS=20`.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { openLog } from "../../src/log/engine.ts";
import { rawRequest } from "../support/raw-http.ts";
import { rounds } from "../support/rounds.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { put, write } from "../support/stores.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const MIB = 1024 * 1024;
const ENTRIES = Math.min(rounds(50_000), 1_000_000);
const VALUE = "a value of some forty bytes, as many are";

const directory = temporaryDirectory();
let server: ServerProcess;
let idleBytes: number;

beforeAll(async () => {
  const store = await openLog({ directory: directory.path });
  for (let at = 0; at < ENTRIES; at += 1_000) {
    const puts = Array.from({ length: 1_000 }, (_, index) =>
      put(`key/${10_000_000 + at + index}`, VALUE),
    );
    await write(store, ...puts);
  }
  await store.close();
  server = await startServerProcess({ directory: directory.path });
  idleBytes = memoryOf("VmRSS");
}, 120_000);

afterAll(async () => {
  await server.kill();
  directory.remove();
});

test.each([
  ["all at once", 0],
  ["slowly", 64 * MIB],
])(
  `${ENTRIES} entries that are taken %s cost less than 100 MiB`,
  async (_, bytesPerSecond) => {
    // The peak is counted anew from here.
    writeFileSync(`/proc/${server.pid}/clear_refs`, "5");
    expect(await stream(bytesPerSecond)).toBe(ENTRIES);
    const costBytes = memoryOf("VmHWM") - idleBytes;
    expect(costBytes).toBeLessThan(100 * MIB);
  },
  120_000,
);

// --- internal ---

function memoryOf(name: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)![1]) * 1024;
}

/** Takes a stream at a rate, 0 = as it comes, and resolves with the number of its lines. */
function stream(bytesPerSecond: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let lines = 0;
  let last = "";
  const client = connect(server.port, "127.0.0.1", () => {
    client.write(rawRequest("GET", "/v1/kv", ["Accept: application/x-ndjson"]));
  });
  client.on("data", (data: Buffer) => {
    // No value has a brace, and each line has one that ends it.
    for (let at = data.indexOf("}"); at >= 0; at = data.indexOf("}", at + 1)) lines++;
    last = (last + data.subarray(-10).toString("latin1")).slice(-10);
    if (bytesPerSecond === 0) return;
    client.pause();
    setTimeout(() => client.resume(), (data.length / bytesPerSecond) * 1_000);
  });
  client.on("close", () => resolve(last.endsWith("\r\n0\r\n\r\n") ? lines : Number.NaN));
  return promise;
}
