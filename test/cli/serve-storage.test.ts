/** serve with the flags about the disk: each arrives in the engine, and shows outside. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";
import { expectFailure, expectNoTrace, kv, start } from "./rig.ts";

let temporary: TemporaryDirectory;
const started: ServerProcess[] = [];

beforeEach(() => {
  temporary = temporaryDirectory();
});

afterEach(async () => {
  for (const server of started.splice(0)) {
    await server.kill();
    expectNoTrace(server.output.stderr);
  }
  temporary.remove();
});

function data(...names: string[]): string {
  return join(temporary.path, "data", ...names);
}

async function serve(
  flags: readonly string[],
  environment: Record<string, string> = {},
): Promise<ServerProcess> {
  const server = await startServerProcess({ directory: data(), flags, environment });
  started.push(server);
  return server;
}

async function statusOf({ url }: ServerProcess): Promise<Record<string, unknown>> {
  return (await (await fetch(`${url}/v1/status`)).json()) as Record<string, unknown>;
}

/** Waits until the status is as wanted. */
async function statusWith(
  server: ServerProcess,
  isWanted: (status: Record<string, unknown>) => boolean,
): Promise<Record<string, unknown>> {
  for (;;) {
    const status = await statusOf(server);
    if (isWanted(status)) return status;
    await Bun.sleep(20);
  }
}

describe("the durability", () => {
  test("is sync, without a word, unless another is asked for", async () => {
    const server = await serve([]);
    const status = await statusOf(server);
    expect(status).toMatchObject({ durability: "sync", capabilities: { snapshot: true } });
    expect(status).not.toHaveProperty("lag");
    expect((await kv(["status"], { url: server.url })).stdout).not.toContain("unsynced");
    expect(await server.kill("SIGTERM")).toBe(0);
    expect(server.output.stderr).not.toContain("warning");
  });

  test.each([
    ["interval:20", "and a power cut may lose the newest ones, normally up to 20 ms of them"],
    ["os", "and a power cut may lose any of the newest ones"],
  ])("%s is warned of, and the status says what could be lost", async (mode, warning) => {
    const server = await serve(["--durability", mode]);
    await kv(["put", "k", "v"], { url: server.url });
    const status = await statusOf(server);
    expect(status).toMatchObject({ durability: mode, revision: 1 });
    expect(Object.keys(status["lag"] as object)).toEqual(["revisions", "bytes", "ms"]);
    const { stdout } = await kv(["status"], { url: server.url });
    expect(stdout).toContain(`engine    log, durability ${mode}\n`);
    expect(stdout).toMatch(/^unsynced {2}(nothing|1 revision, \d+ bytes, for \S+)$/m);
    if (mode !== "os") {
      await statusWith(server, ({ lag }) => (lag as { bytes: number }).bytes === 0);
      const later = await kv(["status"], { url: server.url });
      expect(later.stdout).toContain("unsynced  nothing\n");
    }
    expect(await server.kill("SIGTERM")).toBe(0);
    const [, second] = server.output.stderr.split("\n");
    expect(second).toStartWith(`warning: durability is ${mode}: `);
    expect(second).toContain(warning);
  });

  test("is taken from the environment too", async () => {
    const server = await serve([], { KV_DURABILITY: "os" });
    expect(await statusOf(server)).toMatchObject({ durability: "os" });
  });

  test("that is none makes no data directory", async () => {
    const ran = await kv(["serve", "--port", "0", "--data", data(), "--durability", "none"]);
    expectFailure(ran, 2, '--durability cannot be "none"');
    expect(existsSync(data())).toBe(false);
  });
});

describe("the history", () => {
  test("of 0 is forgotten by itself, and who asks for it is told so", async () => {
    const server = await serve(["--history", "0"]);
    const { url } = server;
    for (const value of ["1", "2", "3"]) await kv(["put", "k", value], { url });
    const { oldest } = await statusWith(server, (status) => status["oldest"] === 3);
    expect(oldest).toBe(3);
    expect((await kv(["get", "k"], { url })).stdout).toBe("3");
    expectFailure(await kv(["get", "k", "--revision", "1"], { url }), 7, "has been compacted");
    expectFailure(
      await kv(["backup", join(temporary.path, "b"), "--since", "1"], { url }),
      7,
      "since",
    );
    expectFailure(await kv(["watch", "--from", "1", "--once"], { url }), 7, "compacted");
    // With the state a watch begins anew.
    const watch = start(["watch", "--from", "1", "--initial"], { url });
    expect((await watch.jsonLines(1))[0]).toMatchObject({ type: "reset", revision: 3 });
    await watch.kill("SIGINT");
  });

  test("is bounded in bytes, and its disk space comes back", async () => {
    const flags = ["--history-bytes", "256KiB", "--segment-bytes", "64KiB", "--reserve-bytes", "0"];
    const server = await serve(flags);
    const value = "x".repeat(20_000);
    for (let count = 0; count < 100; count++) {
      await fetch(`${server.url}/v1/kv/k`, { method: "PUT", body: value });
    }
    const status = await statusWith(
      server,
      ({ oldest, bytes }) => Number(oldest) > 50 && Number(bytes) < 1_000_000,
    );
    expect(status).toMatchObject({ keys: 1, revision: 100 });
    expect(await server.kill("SIGTERM")).toBe(0);
    expect((await kv(["check", data()])).exitCode).toBe(0);
  });

  test("of all is kept, however much it is", async () => {
    const server = await serve(["--history", "all", "--segment-bytes", "64KiB"]);
    const value = "x".repeat(20_000);
    for (let count = 0; count < 20; count++) {
      await fetch(`${server.url}/v1/kv/k`, { method: "PUT", body: value });
    }
    // Longer than the server lets pass between two looks.
    await Bun.sleep(1_500);
    expect(await statusOf(server)).toMatchObject({ oldest: 0, revision: 20 });
    expect(readdirSync(data()).filter((name) => name.endsWith(".log")).length).toBeGreaterThan(3);
  });
});

describe("the reserve", () => {
  test("is a file of that size", async () => {
    await serve(["--reserve-bytes", "1MiB"]);
    while (statSync(data("RESERVE"), { throwIfNoEntry: false })?.size !== 2 ** 20) {
      await Bun.sleep(10);
    }
  });

  test("of 0 is none", async () => {
    const server = await serve(["--reserve-bytes", "0"]);
    await kv(["put", "k", "v"], { url: server.url });
    expect(await server.kill("SIGTERM")).toBe(0);
    expect(existsSync(data("RESERVE"))).toBe(false);
  });
});
