/** watch: what it prints, that nothing is missed or comes twice, and how it ends. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";
import { expectFailure, kv, shell, start, type Running } from "./rig.ts";

let temporary: TemporaryDirectory;
let server: ServerProcess;
const running: Running[] = [];

beforeEach(async () => {
  temporary = temporaryDirectory();
  server = await startServerProcess({ directory: join(temporary.path, "data") });
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((child) => child.kill("SIGKILL")));
  await server.kill();
  temporary.remove();
});

/** Starts a watch and waits until it follows: the server counts it. */
async function watch(...argv: string[]): Promise<Running> {
  const before = await watchers();
  const child = start(["watch", ...argv], { url: server.url });
  running.push(child);
  while ((await watchers()) === before) await Bun.sleep(5);
  return child;
}

async function watchers(): Promise<number> {
  const status = (await (await fetch(`${server.url}/v1/status`)).json()) as { watchers: number };
  return status.watchers;
}

async function put(key: string, value: string): Promise<void> {
  expect((await kv(["put", "--", key, value], { url: server.url })).exitCode).toBe(0);
}

function del(key: string): Promise<unknown> {
  return kv(["del", key], { url: server.url });
}

describe("output", () => {
  test("piped, each event is a JSON object with its revision", async () => {
    const child = await watch();
    await put("a", "1");
    await del("a");
    expect(await child.jsonLines(2)).toEqual([
      {
        type: "put",
        key: "a",
        value: "1",
        contentType: "text/plain; charset=utf-8",
        revision: 1,
        createRevision: 1,
        version: 1,
      },
      { type: "delete", key: "a", revision: 2 },
    ]);
  });

  test("a key or a prefix chooses events, and one begins like the other ends", async () => {
    const one = await watch("a");
    const folder = await watch("--prefix", "a/");
    for (const key of ["b", "a", "a/1", "ab", "a/2", "a"]) await put(key, "x");
    expect((await one.jsonLines(2)).map(({ key, revision }) => [key, revision])).toEqual([
      ["a", 2],
      ["a", 6],
    ]);
    expect((await folder.jsonLines(2)).map(({ key }) => key)).toEqual(["a/1", "a/2"]);
  });

  test("--from begins in the past and goes on with the present", async () => {
    for (const value of ["1", "2", "3"]) await put("k", value);
    const child = await watch("--from", "2");
    await put("k", "4");
    expect((await child.jsonLines(3)).map(({ value }) => value)).toEqual(["2", "3", "4"]);
  });

  test("--from above the next revision is refused, as it may be a typo", async () => {
    const ran = await kv(["watch", "--from", "99"], { url: server.url });
    expectFailure(ran, 2, "99");
  });

  test("-o frames has all events of a revision in one line", async () => {
    const child = await watch("-o", "frames");
    const then = [
      { op: "put", key: "a", value: "1" },
      { op: "put", key: "b", value: "2" },
    ];
    await kv(["txn", "-"], { url: server.url, input: JSON.stringify({ then }) });
    const [frame] = await child.jsonLines(1);
    expect(frame).toMatchObject({
      type: "change",
      revision: 1,
      events: [{ key: "a" }, { key: "b" }],
    });
  });

  test("-o table is a line a change, with what a terminal would act on escaped", async () => {
    const child = await watch("-o", "table");
    await put("a b", "one\u001b[31m\n");
    await put("long", "x".repeat(500));
    await kv(["put", "bytes", "-"], { url: server.url, input: Uint8Array.of(255, 0) });
    await del("long");
    expect(await child.lines(4)).toEqual([
      String.raw`1 put "a b" "one\u001b[31m\n"`,
      `2 put long "${"x".repeat(100)}…"`,
      "3 put bytes (2 bytes, application/octet-stream)",
      "4 delete long",
    ]);
  });

  test("--once ends after the first change, with all of its events", async () => {
    const child = await watch("k", "--once");
    await put("other", "x");
    await put("k", "first");
    await put("k", "second");
    expect(await child.exited).toBe(0);
    expect(child.output.stdout.trimEnd().split("\n")).toHaveLength(1);
    expect(JSON.parse(child.output.stdout)).toMatchObject({ key: "k", value: "first" });
  });
});

describe("the end", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends it quietly with exit code %i", async (signal, code) => {
    const child = await watch();
    expect(await child.kill(signal)).toBe(code);
    // By itself: in a container it may be the first process, which no signal ends by default.
    expect(child.endedBy()).toBe(null);
    expect(child.output).toEqual({ stdout: "", stderr: "" });
  });

  test("Ctrl-C ends it also while nobody reads its output", async () => {
    const child = start(["watch", "--from", "1"], { url: server.url, unread: true });
    running.push(child);
    await kv(["put", "big", "-"], { url: server.url, input: new Uint8Array(1_000_000) });
    await Bun.sleep(200);
    expect(await child.kill("SIGINT")).toBe(130);
  });

  test("a closed pipe ends it quietly, at the next event", async () => {
    await put("k", "1");
    await put("k", "2");
    const ran = await shell("kv watch --from 1 | head -1; echo ${PIPESTATUS[0]}", {
      url: server.url,
    });
    const [event, code] = ran.stdout.trimEnd().split("\n");
    expect(JSON.parse(event!)).toMatchObject({ value: "1" });
    expect(code).toBe("0");
    expect(ran.stderr).toBe("");
  });

  test("a closed pipe ends it quietly also when no further event comes", async () => {
    await put("k", "1");
    const ran = await shell("kv watch --from 1 | head -1; echo ${PIPESTATUS[0]}", {
      url: server.url,
    });
    expect(ran.stdout).toMatch(/^\{.*\}\n0\n$/);
    expect(ran.stderr).toBe("");
  });
});

describe("losses of the connection", () => {
  test("a server with another store ends it with exit code 7, after all that came before", async () => {
    await put("k", "1");
    await put("k", "2");
    const child = await watch("--from", "1");
    await child.jsonLines(2);
    await server.kill();
    server = await startServerProcess({ directory: join(temporary.path, "b"), port: server.port });
    expect(await child.exited).toBe(7);
    expect(child.output.stdout.trimEnd().split("\n")).toHaveLength(2);
    expect(child.output.stderr).toMatch(/^kv watch: connection lost, .*\nkv watch: .*store.*\n$/);
  });

  test("a server that is killed and started again is followed without hole or duplicate", async () => {
    const child = await watch();
    await put("k", "1");
    await child.jsonLines(1);
    for (const round of [2, 3]) {
      await server.kill();
      await child.errorLines(2 * round - 3);
      server = await startServerProcess({
        directory: join(temporary.path, "data"),
        port: server.port,
      });
      await put("k", String(round));
      await child.jsonLines(round);
    }
    expect((await child.jsonLines(3)).map(({ value }) => value)).toEqual(["1", "2", "3"]);
    const lines = await child.errorLines(4);
    expect(lines).toHaveLength(4);
    for (const [index, line] of lines.entries()) {
      expect(line).toMatch(index % 2 === 0 ? /^kv watch: connection lost, / : /connected again/);
    }
  });
});
