/** kv bench: what it counts, what it leaves alone, what it leaves behind, and how it fails. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { connect, type KvClient } from "../../src/client/index.ts";
import { CERTIFICATE, PRIVATE_KEY } from "../support/certificate.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { expectFailure, kv, openTerminal, SLOW_TEST_MS, start, type RunOptions } from "./rig.ts";

const temporary = temporaryDirectory();
let server: ServerProcess;
let client: KvClient;

beforeAll(async () => {
  server = await startServerProcess({ directory: join(temporary.path, "data") });
  client = connect(server.url);
  for (const key of ["a", "bench", "bench.", "bench0", "z"]) await client.put(key, key);
});

afterAll(async () => {
  await client.close();
  await server.kill();
  temporary.remove();
});

interface Result {
  workload: string;
  operations: number;
  failures: number;
  errors: { code: string; count: number; message: string }[];
  seconds: number;
  perSecond: number;
  latencyMs: Record<"mean" | "p50" | "p90" | "p99" | "p999" | "max", number>;
}

interface Report extends Record<string, unknown> {
  results: Result[];
}

/** Runs `kv bench` to its end, without a word on stderr, and reads its figures. */
async function bench(...argv: string[]): Promise<Report> {
  const ran = await kv(["bench", ...argv, "-o", "json"], { url: server.url });
  expect(ran.stderr).toBe("");
  expect(ran.exitCode).toBe(0);
  return JSON.parse(ran.stdout) as Report;
}

/** The keys of the store that are not of this file. */
async function others(): Promise<string[]> {
  const mine = ["a", "bench", "bench.", "bench0", "z"];
  const keys = [];
  for await (const { key } of client.list({}, { keys: true })) keys.push(key);
  expect(keys).toEqual(expect.arrayContaining(mine));
  return keys.filter((key) => !mine.includes(key));
}

/** A server between kv and another one; what `answer` leaves alone goes on to that. */
function proxy(answer: (request: Request) => Response | undefined, secure = false) {
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    development: false,
    ...(secure ? { tls: { cert: CERTIFICATE, key: PRIVATE_KEY } } : undefined),
    async fetch(request) {
      const own = answer(request);
      if (own !== undefined) return own;
      const { method, headers } = request;
      const url = request.url.replace(/^https?:\/\/[^/]+(\/store)?/, server.url);
      const got = await fetch(url, { method, headers, body: await request.bytes() });
      const type = got.headers.get("Content-Type") ?? "";
      return new Response(await got.bytes(), {
        status: got.status,
        headers: { "Content-Type": type },
      });
    },
  });
}

const FEW = ["--connections", "4", "--keys", "50", "--requests", "400"];

describe("what it counts", () => {
  test("each operation once, and says of what its figures are", async () => {
    const before = await client.status();
    const report = await bench("put", "get", "mixed", ...FEW, "--reads", "50");
    expect(report).toMatchObject({
      server: { url: server.url, engine: "log", durability: "sync", store: before.store },
      transport: "http",
      connections: 4,
      pipeline: 1,
      keys: 50,
      keyBytes: 16,
      valueBytes: 100,
      prefix: "bench/",
    });
    expect(report.results.map(({ workload }) => workload)).toEqual(["put", "get", "mixed"]);
    for (const { operations, failures, errors, seconds, perSecond, latencyMs } of report.results) {
      expect({ operations, failures, errors }).toEqual({
        operations: 400,
        failures: 0,
        errors: [],
      });
      expect(Math.abs(perSecond * seconds - 400)).toBeLessThan(40);
      const { p50, p90, p99, p999, max } = latencyMs;
      const order = [0, p50, p90, p99, p999, max];
      expect(order).toEqual(order.toSorted((a, b) => a - b));
      expect(max).toBeLessThanOrEqual(seconds * 1_000);
    }
    expect(await others()).toEqual([]);
    // A put each, half of the mixture, the filling and the removal of 50 keys, one revision each.
    const writes = (await client.status()).revision - before.revision;
    expect(writes).toBeGreaterThan(500);
    expect(writes).toBeLessThan(750);
  });

  test("operations of binary frames, in whole frames", async () => {
    const frames = ["--pipeline", "30", "--connections", "2", "--keys", "50"];
    const report = await bench("put", "get", "mixed", "--requests", "300", ...frames);
    expect(report).toMatchObject({ transport: "websocket", pipeline: 30 });
    for (const { operations, failures } of report.results) {
      expect({ operations, failures }).toEqual({ operations: 300, failures: 0 });
    }
    const odd = await bench("get", "--requests", "100", ...frames);
    expect(odd.results[0]!.operations).toBe(120);
    expect(await others()).toEqual([]);
  });

  test("each event at each watcher", async () => {
    const report = await bench("watch", ...FEW);
    expect(report.results[0]).toMatchObject({ operations: 4 * 400, failures: 0 });
    expect(await others()).toEqual([]);
  });

  test("what happens in a time, but for its beginning", async () => {
    const [result] = (await bench("get", "--connections", "2", "--keys", "10", "--duration", "1s"))
      .results;
    expect(result!.seconds).toBe(1);
    expect(result!.operations).toBeGreaterThan(0);
  });

  test("puts and gets when it is not told what", async () => {
    const { results } = await bench(...FEW);
    expect(results.map(({ workload }) => workload)).toEqual(["put", "get"]);
  });

  test("a table for people, which says what was measured", async () => {
    const ran = await kv(["bench", "mixed", "watch", ...FEW], { url: server.url });
    expect(ran.exitCode).toBe(0);
    expect(ran.stdout).toContain(`server  ${server.url}, kv `);
    expect(ran.stdout).toContain("store   engine log, durability sync\n");
    expect(ran.stdout).toContain("load    4 connections, one request at a time each, over HTTP\n");
    expect(ran.stdout).toContain("keys    50 keys of 16 bytes under bench/, values of 100 bytes\n");
    expect(ran.stdout).toMatch(/^WORKLOAD +OPERATIONS +ERRORS +SECONDS +PER SECOND +P50 .*MAX$/m);
    expect(ran.stdout).toMatch(/^mixed, 90 % gets +400 +0 +\d+\.\d +[\d,]+ /m);
    expect(ran.stdout).toMatch(/^watch +1,600 +0 /m);
    expect(ran.stdout).toContain("watch: 4 watchers over WebSocket, and one connection that puts");
  });
});

describe("keys", () => {
  test("are of the size, the number and the prefix asked for, and stay with --keep", async () => {
    const shape = ["--keys", "30", "--value-bytes", "5", "--prefix", "täst 7/"];
    await bench("get", "--requests", "10", "--connections", "1", "--keep", ...shape);
    const keys = await others();
    expect(keys).toHaveLength(30);
    expect(keys[29]).toBe("täst 7/0000000029");
    expect((await client.get(keys[0]!))!.text()).toBe("vvvvv");
    await client.clear({ prefix: "täst 7/" });
  });

  test("may be too many for one transaction, and their values too large for many", async () => {
    await bench("get", "--requests", "1", "--connections", "1", "--keys", "2500");
    // More than a socket takes at once.
    const large = ["--keys", "2", "--value-bytes", "12000000"];
    await bench("put", "get", "--requests", "3", "--connections", "1", ...large);
    expect(await others()).toEqual([]);
  });

  test("of somebody else under the prefix are refused, and stay as they are with --force", async () => {
    const names = ["000000000", "00000000010", "000000001x", "0000000050", "own"];
    const theirs = names.map((name) => `bench/${name}`);
    for (const key of theirs) await client.put(key, "mine");
    const ran = await kv(["bench", ...FEW], { url: server.url });
    expectFailure(ran, 4, "there are 5 keys under bench/ already; choose another --prefix");
    await bench("put", "get", "mixed", "watch", ...FEW, "--force");
    expect(await others()).toEqual(theirs);
    for (const key of theirs) expect((await client.get(key))!.version).toBe(1);
    await client.clear({ prefix: "bench/" });
  });

  test("are looked for at the end, so that those never put take no time", async () => {
    let transactions = 0;
    await using counting = proxy(({ url }) => {
      if (url.endsWith("/v1/txn")) transactions++;
      return undefined;
    });
    const argv = ["bench", "put", "--keys", "1000000", "--requests", "20"];
    expect((await kv(argv, { url: counting.url.href })).exitCode).toBe(0);
    expect(await others()).toEqual([]);
    expect(transactions).toBe(1);
  });

  test("are removed after Ctrl-C, which shows what was measured until then", async () => {
    const command = ["bench", "get", "watch", "--keys", "100", "--duration", "10m"];
    const running = start(command, { url: server.url });
    for await (const change of client.watch({ prefix: "bench/" }, { initial: true })) {
      if (change.type === "change" || change.type === "state") break;
    }
    expect(await running.kill("SIGINT")).toBe(130);
    expect(running.output.stdout === "" || running.output.stdout.includes("\nget ")).toBe(true);
    expect(await others()).toEqual([]);
  });
});

describe("failures", () => {
  test("are counted by their code, and make the exit code 1", async () => {
    let puts = 0;
    await using flaky = proxy(({ method }) => {
      if (method !== "PUT" || ++puts % 4 !== 0) return undefined;
      const error = { code: "storage_full", message: "the disk is full" };
      return Response.json({ error }, { status: 507 });
    });
    const argv = ["bench", "put", ...FEW, "-o", "json"];
    const ran = await kv(argv, { url: flaky.url.href });
    expect(ran.stderr).toBe("");
    expect(ran.exitCode).toBe(1);
    expect((JSON.parse(ran.stdout) as Report).results[0]).toMatchObject({
      operations: 300,
      failures: 100,
      errors: [{ code: "storage_full", count: 100, message: "the disk is full" }],
    });
    const table = await kv(argv.slice(0, -2), { url: flaky.url.href });
    expect(table.stdout).toContain("put: 100 errors storage_full; the first: the disk is full\n");
    expect(await others()).toEqual([]);
  });

  test("a connection that is ended behind an answer is none", async () => {
    let gets = 0;
    await using closing = proxy(({ method, url }) => {
      if (method !== "GET" || !url.includes("/v1/kv/") || ++gets % 5 !== 0) return undefined;
      return new Response("v", { headers: { Connection: "close" } });
    });
    const ran = await kv(["bench", "get", ...FEW, "-o", "json"], { url: closing.url.href });
    expect(ran.exitCode).toBe(0);
    expect((JSON.parse(ran.stdout) as Report).results[0]).toMatchObject({
      operations: 400,
      failures: 0,
    });
  });

  test("a server that goes away ends it with exit code 6, and it says what is left", async () => {
    const directory = join(temporary.path, "killed");
    const killed = await startServerProcess({ directory });
    const argv = ["bench", "put", "--keys", "10", "--duration", "10m", "--timeout", "500ms"];
    const running = start(argv, { url: killed.url });
    const watching = connect(killed.url);
    for await (const _ of watching.watch({ prefix: "bench/" })) break;
    await watching.close();
    await killed.kill();
    expect(await running.exited).toBe(6);
    const [left, why] = running.output.stderr.split("\n");
    expect(left).toBe(
      "kv bench: its keys could not be removed: those under bench/ are still there",
    );
    expect(why).toStartWith("kv bench: no request has succeeded for 0.5 s; the last error was: ");
  });

  test.each([
    [["put", "--pipeline", "5"], "no connection was opened for 0.7 s"],
    [["watch"], "no watch began within 0.7 s"],
  ])("%j gives up where no WebSocket is opened or refused", async (argv, message) => {
    const never = Promise.withResolvers<Response>();
    await using silent = proxy(({ url }) =>
      url.endsWith("/v1/ws") ? (never.promise as unknown as Response) : undefined,
    );
    const few = ["--connections", "2", "--keys", "10", "--timeout", "700ms"];
    expectFailure(await kv(["bench", ...argv, ...few], { url: silent.url.href }), 6, message);
    never.resolve(new Response());
  });

  test("an answer that does not come is one, after the timeout", async () => {
    let gets = 0;
    const never = Promise.withResolvers<Response>();
    await using slow = proxy(({ method, url }) => {
      if (method !== "GET" || !url.includes("/v1/kv/") || ++gets !== 7) return undefined;
      return never.promise as unknown as Response;
    });
    const argv = ["bench", "get", ...FEW, "--timeout", "700ms", "--duration", "2s", "-o", "json"];
    const ran = await kv(
      argv.filter((word) => word !== "--requests" && word !== "400"),
      { url: slow.url.href },
    );
    never.resolve(new Response());
    expect(ran.exitCode).toBe(1);
    expect((JSON.parse(ran.stdout) as Report).results[0]!.errors).toEqual([
      { code: "unavailable", count: 1, message: "no answer within 0.7 s" },
    ]);
  });
});

describe("a server behind something else", () => {
  const trusting: RunOptions = {
    environment: { NODE_EXTRA_CA_CERTS: join(temporary.path, "certificate.pem") },
  };

  test("is reached below a path, and over TLS when its certificate is good", async () => {
    await Bun.write(join(temporary.path, "certificate.pem"), CERTIFICATE);
    await using secure = proxy(() => undefined, true);
    const url = `${secure.url.href}store`;
    const argv = ["bench", "put", "get", ...FEW, "-o", "json", "--url", url];
    const ran = await kv(argv, trusting);
    expect(ran).toMatchObject({ stderr: "", exitCode: 0 });
    for (const { operations, failures } of (JSON.parse(ran.stdout) as Report).results) {
      expect({ operations, failures }).toEqual({ operations: 400, failures: 0 });
    }
    expectFailure(await kv(argv), 6, "DEPTH_ZERO_SELF_SIGNED_CERT");
    expect(await others()).toEqual([]);
  });
});

describe("the progress", () => {
  test("is a line on a terminal, and gone at the end", async () => {
    const argv = ["bench", "put", "--keys", "10", "--duration", "1s"];
    const session = openTerminal(argv, { url: server.url });
    await session.until((output) => /\rput: \d\.\d s of 1\.0 s, [\d,]+\/s/.test(output));
    expect(await session.exited).toBe(0);
    expect(session.output).toContain("\r\u001b[Kserver  ");
  });
});

describe("usage", () => {
  test.each([
    [["putt"], 'unknown workload "putt"; did you mean "put"?'],
    [["put", "get", "put"], "put is given twice"],
    [["--duration", "1s", "--requests", "5"], "--duration and --requests exclude each other"],
    [["--duration", "ten"], "--duration must be a time"],
    [["--pipeline", "0"], "--pipeline must be a whole number from 1 to 10000"],
    [["--pipeline", "10000", "--value-bytes", "1000"], "--pipeline can be 3942 at most"],
    [["--pipeline", "1", "--value-bytes", "5000000"], "5000000 bytes are too large for --pipeline"],
    [["watch", "--pipeline", "10"], "--pipeline is of put, get and mixed alone"],
    [["put", "--reads", "50"], "--reads is of mixed alone"],
    [["--connections", "0"], "--connections must be a whole number from 1 to 10000"],
    [["mixed", "--reads", "101"], "--reads must be a whole number from 0 to 100"],
    [["--value-bytes", "16777217"], "--value-bytes must be a whole number from 0 to 16777216"],
    [["watch", "--value-bytes", "9"], "watch needs values of at least 10 bytes"],
    [["--prefix", "a/../"], "--prefix: "],
    [["--prefix", "x".repeat(1_020)], "--prefix: "],
  ])("%j is refused", async (argv, message) => {
    expectFailure(await kv(["bench", ...argv], { url: server.url }), 2, message);
  });

  test("who knows another word for it is told", async () => {
    expectFailure(await kv(["benchmark"]), 2, "did you mean kv bench?");
  });
});

test(
  "a thousand watchers miss nothing",
  async () => {
    const many = ["--connections", "1000", "--requests", "50", "--keys", "10"];
    const report = await bench("watch", ...many);
    expect(report.results[0]).toMatchObject({ operations: 50_000, failures: 0 });
  },
  SLOW_TEST_MS,
);
