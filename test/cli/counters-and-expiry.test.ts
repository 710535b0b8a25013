/** incr, touch and times to live: what they print, what they refuse, and what a script gets to see. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { expectFailure, kv, onTerminal, shell, type Ran } from "./rig.ts";

const temporary = temporaryDirectory();
let server: ServerProcess;

beforeAll(async () => {
  server = await startServerProcess({ directory: join(temporary.path, "data") });
});

afterAll(async () => {
  await server.kill();
  temporary.remove();
});

function run(...argv: string[]): Promise<Ran> {
  return kv(argv, { url: server.url });
}

async function json(...argv: string[]): Promise<Record<string, unknown>> {
  const { stdout, exitCode } = await run(...argv, "-o", "json");
  expect(exitCode).toBe(0);
  return JSON.parse(stdout);
}

/** Milliseconds until the entry of an answer expires. */
function left({ expiresAt }: Record<string, unknown>): number {
  return Date.parse(expiresAt as string) - Date.now();
}

/** What it says on a terminal. */
async function said(...argv: string[]): Promise<string> {
  return (await onTerminal(argv, { url: server.url })).output.replaceAll("\r\n", "\n");
}

describe("incr", () => {
  test("it prints the new value on a line, and nothing else", async () => {
    const steps: [argv: string[], value: string][] = [
      [["n"], "1"],
      [["n"], "2"],
      [["n", "40"], "42"],
      [["n", "-50"], "-8"],
      [["n", "--by", "-2"], "-10"],
      [["--by=10", "n"], "0"],
      [["n", "0"], "0"],
    ];
    for (const [argv, value] of steps) {
      expect(await run("incr", ...argv)).toMatchObject({
        stdout: `${value}\n`,
        stderr: "",
        exitCode: 0,
      });
    }
    expect((await run("get", "n")).stdout).toBe("0");
  });

  test("-o json has the answer, with the value as text", async () => {
    const answer = await json("incr", "j", "9007199254740993");
    const { revision } = answer;
    const first = { revision, createRevision: revision, version: 1 };
    expect(answer).toEqual({ key: "j", value: "9007199254740993", ...first });
  });

  test("the whole of 64 bits counts, and one more is exit code 4", async () => {
    expect((await run("incr", "max", "9223372036854775807")).stdout).toBe("9223372036854775807\n");
    expectFailure(await run("incr", "max"), 4, "9223372036854775808, which has more than 64 bits");
    expect((await run("get", "max")).stdout).toBe("9223372036854775807");
    expect((await run("incr", "min", "-9223372036854775808")).exitCode).toBe(0);
    expectFailure(await run("incr", "min", "-1"), 4, "more than 64 bits");
  });

  test("a value that is no integer is exit code 4 and stays", async () => {
    await run("put", "text", "01");
    expectFailure(await run("incr", "text"), 4, 'the value of "text" is no integer');
    expect((await run("get", "text")).stdout).toBe("01");
  });

  test("--ttl counts only when the key is created", async () => {
    const created = await json("incr", "rate", "--ttl", "1h");
    expect(left(created)).toBeWithin(3_590_000, 3_600_001);
    const again = await json("incr", "rate", "--ttl", "2h");
    expect(again["expiresAt"]).toBe(created["expiresAt"]);
  });

  test("counters of several processes miss nothing", async () => {
    const line =
      "for i in 1 2 3 4 5 6 7 8; do kv incr shared > /dev/null & done; wait; kv get shared";
    expect((await shell(line, { url: server.url })).stdout).toBe("8");
  });
});

describe("put --ttl", () => {
  test("the key is gone after that time", async () => {
    expect(left(await json("put", "short", "x", "--ttl", "200ms"))).toBeWithin(-100, 201);
    expect((await run("wait", "short", "--absent", "--timeout", "10s")).exitCode).toBe(0);
    expectFailure(await run("get", "short"), 3, "short is absent");
  });

  test("keep leaves the deadline, a plain put takes it away", async () => {
    const { expiresAt } = await json("put", "k", "1", "--ttl", "1d");
    expect(await json("put", "k", "2", "--ttl", "keep")).toMatchObject({ expiresAt });
    expect(await json("put", "k", "3")).not.toHaveProperty("expiresAt");
    expect(await json("put", "k", "4", "--ttl", "keep")).not.toHaveProperty("expiresAt");
  });

  test("a lock that frees itself", async () => {
    expect((await run("put", "lock", "me", "--if-absent", "--ttl", "10m")).exitCode).toBe(0);
    expectFailure(
      await run("put", "lock", "you", "--if-absent", "--ttl", "10m"),
      4,
      "is at revision",
    );
  });

  test("a person is told how long the key has", async () => {
    expect(await said("put", "told", "x", "--ttl", "90m")).toMatch(
      /^created told at revision \d+; it expires in 1h 30m\n$/,
    );
    expect(await said("put", "told", "x")).toMatch(/^replaced told at revision \d+\n$/);
  });
});

describe("touch", () => {
  test("it changes the deadline and the revision, and neither value nor type", async () => {
    await run("put", "t", "value", "--content-type", "text/x-test");
    const { revision } = await json("touch", "t", "--ttl", "1h");
    const entry = await json("get", "t");
    expect(entry).toMatchObject({
      value: "value",
      contentType: "text/x-test",
      revision,
      version: 2,
    });
    expect(left(entry)).toBeWithin(3_590_000, 3_600_001);
    expect(await json("touch", "t", "--ttl", "keep")).toMatchObject({
      expiresAt: entry["expiresAt"],
      version: 3,
    });
    expect(await json("touch", "t", "--ttl", "none")).not.toHaveProperty("expiresAt");
    expect(await json("get", "t")).not.toHaveProperty("expiresAt");
  });

  test("nothing is printed but to a person", async () => {
    await run("put", "p", "x");
    expect(await run("touch", "p", "--ttl", "1h")).toMatchObject({
      stdout: "",
      stderr: "",
      exitCode: 0,
    });
    expect(await said("touch", "p", "--ttl", "2d")).toMatch(
      /^touched p at revision \d+; it expires in 2d\n$/,
    );
    expect(await said("touch", "p", "--ttl", "none")).toMatch(/; it never expires\n$/);
  });

  test("an absent key is exit code 3, with a condition too", async () => {
    const message = "kv touch: nowhere is absent\n";
    expectFailure(await run("touch", "nowhere", "--ttl", "1s"), 3, message);
    expectFailure(await run("touch", "nowhere", "--ttl", "1s", "--if-revision", "1"), 3, message);
  });

  test("--if-revision leaves what was changed since", async () => {
    const { revision } = await json("put", "c", "1");
    await run("put", "c", "2");
    const ran = await run("touch", "c", "--ttl", "1s", "--if-revision", String(revision));
    expectFailure(ran, 4, 'the key "c" is at revision');
    expect(await json("get", "c")).not.toHaveProperty("expiresAt");
  });
});
