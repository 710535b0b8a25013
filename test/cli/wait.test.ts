/** wait: what ends it, what it prints, and how it meets servers that are not there yet, or not any more. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";
import {
  expectFailure,
  kv,
  onTerminal,
  openTerminal,
  start,
  type Ran,
  type Running,
} from "./rig.ts";

let temporary: TemporaryDirectory;
let server: ServerProcess;
const running: Running[] = [];

beforeEach(async () => {
  temporary = temporaryDirectory();
  server = await startServer("data");
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((child) => child.kill("SIGKILL")));
  await server.kill();
  temporary.remove();
});

function startServer(name: string, port = 0): Promise<ServerProcess> {
  return startServerProcess({ directory: join(temporary.path, name), port });
}

function run(...argv: string[]): Promise<Ran> {
  return kv(argv, { url: server.url });
}

/** Starts a wait, which goes on for up to a minute unless it is said. */
function begin(...argv: string[]): Running {
  const child = start(["wait", "--timeout=1m", ...argv], { url: server.url });
  running.push(child);
  return child;
}

/** As `begin`, and waits until it follows the key: the server counts it. */
async function waiting(...argv: string[]): Promise<Running> {
  const child = begin(...argv);
  while ((await watchers()) === 0) await Bun.sleep(5);
  return child;
}

async function watchers(): Promise<number> {
  const status = (await (await fetch(`${server.url}/v1/status`)).json()) as { watchers: number };
  return status.watchers;
}

async function ended(child: Running): Promise<{ code: number; stdout: string; stderr: string }> {
  const code = await child.exited;
  return { code, ...child.output };
}

describe("what is so already ends it at once", () => {
  test.each([
    [["k"], "value"],
    [["k", "--value", "value"], "value"],
    [["k", "--revision", "1"], "value"],
    [["nowhere", "--absent"], ""],
  ])("%j", async (argv, stdout) => {
    await run("put", "k", "first");
    await run("put", "k", "value");
    expect(await run("wait", ...argv)).toMatchObject({ stdout, stderr: "", exitCode: 0 });
  });
});

describe("what comes to be so ends it", () => {
  test("a key that is put", async () => {
    const child = await waiting("k");
    await run("put", "other", "x");
    await run("put", "k", "here");
    expect(await ended(child)).toEqual({ code: 0, stdout: "here", stderr: "" });
  });

  test("a value, and no other one", async () => {
    const child = await waiting("k", "--value", "done");
    for (const value of ["", "don", "done ", "Done"]) await run("put", "k", value);
    expect(await watchers()).toBe(1);
    await run("put", "k", "done");
    expect(await ended(child)).toEqual({ code: 0, stdout: "done", stderr: "" });
  });

  test("a value that was there for a moment only", async () => {
    const child = await waiting("k", "--value", "go");
    const puts = ["a", "go", "b"].map((value) =>
      fetch(`${server.url}/v1/kv/k`, { method: "PUT", body: value }),
    );
    await Promise.all(puts);
    expect(await ended(child)).toMatchObject({ code: 0, stdout: "go" });
  });

  test("an absence, by a deletion and by an expiry", async () => {
    await run("put", "k", "x");
    await run("put", "short", "x", "--ttl", "300ms");
    const child = await waiting("k", "--absent");
    const short = begin("short", "--absent");
    await run("put", "k", "y");
    await run("del", "k");
    expect(await ended(child)).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(await ended(short)).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("a change after a revision, of a key that is there or absent", async () => {
    await run("put", "k", "one");
    const child = await waiting("k", "--revision", "1");
    await run("put", "k", "two");
    expect(await ended(child)).toEqual({ code: 0, stdout: "two", stderr: "" });
    const absent = await waiting("new", "--revision", "2", "-o", "json");
    await run("put", "new", "x");
    expect(JSON.parse((await ended(absent)).stdout)).toMatchObject({ value: "x", revision: 3 });
  });

  test("an empty value is a value", async () => {
    const child = await waiting("k", "--value", "");
    await run("put", "k", "");
    expect(await ended(child)).toEqual({ code: 0, stdout: "", stderr: "" });
  });
});

describe("--revision", () => {
  test("a deletion after it is exit code 3, before the wait and during it", async () => {
    await run("put", "k", "x");
    const child = await waiting("k", "--revision", "1");
    await run("del", "k");
    const message = "kv wait: k was deleted after revision 1\n";
    expect(await ended(child)).toEqual({ code: 3, stdout: "", stderr: message });
    expectFailure(await run("wait", "k", "--revision", "1"), 3, message);
  });

  test("a key that came and went after it is exit code 3", async () => {
    await run("put", "other", "x");
    await run("put", "k", "x");
    await run("del", "k");
    expectFailure(await run("wait", "k", "--revision", "1"), 3, "k was deleted after revision 1");
  });

  test("a deletion at it or before is waited behind", async () => {
    await run("put", "k", "x");
    await run("del", "k");
    const child = await waiting("k", "--revision", "2");
    await run("put", "k", "y");
    expect(await ended(child)).toMatchObject({ code: 0, stdout: "y" });
  });

  test("one that the store has not reached may be a typo", async () => {
    expectFailure(await run("wait", "k", "--revision", "5"), 2, "the store is at revision 0");
  });

  test("what is compacted cannot be known, but what is there counts", async () => {
    for (const value of ["1", "2", "3"]) await run("put", "k", value);
    await run("put", "gone", "x");
    await run("del", "gone");
    await run("compact", "5");
    expectFailure(await run("wait", "gone", "--revision", "4"), 7, "has been compacted");
    expect((await run("wait", "k", "--revision", "1")).stdout).toBe("3");
  });
});

describe("the timeout", () => {
  test.each([
    [["nowhere"], "after 200ms nowhere is still absent"],
    [["k", "--absent"], "after 200ms k is still there"],
    [["k", "--value", "y"], "after 200ms k does not have that value"],
    [["k", "--revision", "1"], "after 200ms k has not changed since 1"],
  ])("%j is exit code 4", async (argv, message) => {
    await run("put", "k", "x");
    expectFailure(await run("wait", ...argv, "--timeout", "200ms"), 4, `kv wait: ${message}\n`);
  });
});

describe("a server that is not there", () => {
  test("is waited for, with one line each way", async () => {
    const { port } = server;
    await server.kill();
    const child = begin("k");
    expect(await child.errorLines(1)).toEqual([
      `kv wait: trying again: no server listens at ${server.url}; is it running, and is this its address?`,
    ]);
    server = await startServer("data", port);
    await child.errorLines(2);
    await run("put", "k", "here");
    const { code, stdout, stderr } = await ended(child);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "here" });
    expect(stderr).toEndWith("\nkv wait: connected\n");
    expect(stderr.split("\n")).toHaveLength(3);
  });

  test("until the timeout, which is exit code 6 then", async () => {
    const ran = await kv(["wait", "k", "--timeout", "300ms"], { url: "http://127.0.0.1:1" });
    expect(ran).toMatchObject({ stdout: "", exitCode: 6 });
    expect(ran.stderr).toMatch(
      /^kv wait: trying again: no server.*\nkv wait: gave up after 300ms: no server listens at .*\n$/,
    );
  });

  test("or that never answers is exit code 6 too", async () => {
    const silent = Bun.listen({ port: 0, hostname: "127.0.0.1", socket: { data() {} } });
    const ran = await kv(["wait", "k", "--timeout", "300ms"], { url: `:${silent.port}` });
    silent.stop(true);
    expectFailure(
      ran,
      6,
      `kv wait: gave up after 300ms: no answer from http://127.0.0.1:${silent.port}`,
    );
  });

  test("any more, and comes back: nothing is missed", async () => {
    const child = await waiting("k", "--value", "done");
    const { port } = server;
    await server.kill();
    await child.errorLines(1);
    server = await startServer("data", port);
    await run("put", "k", "done");
    await run("put", "k", "over");
    expect(await ended(child)).toMatchObject({ code: 0, stdout: "done" });
  });

  test("any more, and comes back with another store: what it has counts", async () => {
    await run("put", "other", "x");
    const child = await waiting("k");
    const { port } = server;
    await server.kill();
    await child.errorLines(1);
    server = await startServer("new", port);
    await run("put", "k", "restored");
    expect(await ended(child)).toMatchObject({ code: 0, stdout: "restored" });
  });

  test("any more at the timeout is exit code 6", async () => {
    const short = start(["wait", "k", "--timeout", "1s"], { url: server.url });
    running.push(short);
    while ((await watchers()) === 0) await Bun.sleep(5);
    await server.kill();
    const { code, stderr } = await ended(short);
    expect(code).toBe(6);
    expect(stderr).toMatch(/trying again: .*\nkv wait: gave up after 1s: /);
  });
});

describe("on a terminal", () => {
  test("Ctrl-C ends it with exit code 130", async () => {
    const session = openTerminal(["wait", "k"], { url: server.url });
    while ((await watchers()) === 0) await Bun.sleep(5);
    session.type("\u0003");
    expect(await session.exited).toBe(130);
  });

  test("the value ends its line, and -o table is a line about it", async () => {
    await run("put", "k", "x");
    expect((await onTerminal(["wait", "k"], { url: server.url })).output).toBe("x\r\n");
    const { output } = await onTerminal(["wait", "k", "-o", "table"], { url: server.url });
    expect(output).toMatch(/^KEY +REVISION +VERSION +CONTENT TYPE +VALUE\r\nk .* "x"\r\n$/);
  });

  test("SIGTERM ends it as well", async () => {
    const child = await waiting("k");
    expect(await child.kill("SIGTERM")).toBe(143);
  });
});
