/** What a person sees: on a terminal values end their line, lists are tables, and nothing moves the cursor. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { kv, onTerminal, openTerminal, shellOnTerminal } from "./rig.ts";

const temporary = temporaryDirectory();
const EVIL = "evil\u001b[2J\u0007\u009b1m\u202e";
const ESCAPED = String.raw`evil\u001b[2J\u0007\u009b1m\u202e`;
let server: ServerProcess;

beforeAll(async () => {
  server = await startServerProcess({ directory: join(temporary.path, "data") });
  await kv(["put", "a", "one"], { url: server.url });
  await kv(["put", EVIL, EVIL], { url: server.url });
});

afterAll(async () => {
  await server.kill();
  temporary.remove();
});

/** Runs kv on a terminal to its end; what it printed, with plain line ends. */
async function shown(...argv: string[]): Promise<string> {
  const { output } = await onTerminal(argv, { url: server.url });
  return output.replaceAll("\r\n", "\n");
}

describe("values", () => {
  test("get ends with a newline on a terminal, and adds none to a pipe", async () => {
    expect(await shown("get", "a")).toBe("one\n");
    expect((await kv(["get", "a"], { url: server.url })).stdout).toBe("one");
  });

  test("get prints even an evil value as it is: that is what it is for", async () => {
    expect(await shown("get", EVIL)).toBe(`${EVIL}\n`);
  });

  test("a value typed at the terminal ends with Ctrl-D", async () => {
    const session = openTerminal(["put", "typed", "-"], { url: server.url });
    await session.until("Ctrl-D");
    session.type("hello\n\u0004");
    expect(await session.exited).toBe(0);
    expect((await kv(["get", "typed"], { url: server.url })).stdout).toBe("hello\n");
    await kv(["del", "typed"], { url: server.url });
  });

  test("Ctrl-C leaves a value that is being typed, and stores nothing", async () => {
    const session = openTerminal(["put", "typed", "-"], { url: server.url });
    await session.until("Ctrl-D");
    session.type("half\n\u0003");
    expect(await session.exited).toBe(130);
    expect((await kv(["get", "typed"], { url: server.url })).exitCode).toBe(3);
  });
});

describe("remarks", () => {
  test("put and del say on a terminal what they did, and nothing else anywhere", async () => {
    expect(await shown("put", "r", "1")).toMatch(/^created r at revision \d+\n$/);
    expect(await shown("put", "r", "2")).toMatch(/^replaced r at revision \d+\n$/);
    expect(await shown("put", "r 2", "1", "-o", "json")).toMatch(/^\{"key":"r 2",.*\}\n$/);
    expect(await shown("del", "r", "r 2")).toMatch(/^deleted r at .*\ndeleted "r 2" at .*\n$/);
  });

  test("remarks go to stderr: stdout stays empty when only it is a pipe", async () => {
    const line = "kv put r 1 | wc -c; kv del r | wc -c";
    const { output } = await shellOnTerminal(line, { url: server.url });
    expect(output).toContain("created r at revision");
    expect(output).toContain("deleted r at revision");
    expect(output.match(/^\s*0\r$/gm)).toHaveLength(2);
  });

  test("health says so to a person", async () => {
    expect(await shown("health")).toBe(`${server.url} is ready\n`);
  });
});

describe("control characters", () => {
  test("ls is a table, in which they are escaped", async () => {
    const output = await shown("ls");
    expect(output).toMatch(/^KEY +REVISION +VERSION +CONTENT TYPE\n/);
    expect(output).toContain(`${ESCAPED} `);
    expectHarmless(output);
  });

  test.each([
    ["a list of keys", ["ls", "-o", "raw"]],
    ["a list as JSON", ["ls", "-o", "json"]],
    ["an entry as JSON", ["get", EVIL, "-o", "json"]],
    ["a message", ["get", `${EVIL}?`]],
  ])("they are escaped in %s", async (_, argv) => {
    const output = await shown(...argv);
    expect(output).toContain(ESCAPED);
    expectHarmless(output);
  });

  test("piped keys are as they are", async () => {
    expect((await kv(["ls"], { url: server.url })).stdout).toBe(`a\n${EVIL}\n`);
  });

  test("a server that is none cannot do worse", async () => {
    const evil = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () =>
        Response.json(
          { error: { code: "internal", message: `${EVIL}\nsecond line` } },
          { status: 500 },
        ),
    });
    const { output, exitCode } = await onTerminal(["get", "a"], { url: evil.url.origin });
    await evil.stop(true);
    expect(exitCode).toBe(1);
    expect(output).toBe(String.raw`kv get: ${ESCAPED}\nsecond line` + "\r\n");
  });
});

describe("watch", () => {
  test("a change is a coloured line, plain with NO_COLOR, until Ctrl-C", async () => {
    const from = ["watch", "--from", "1"];
    const session = openTerminal(from, { url: server.url });
    await session.until(ESCAPED);
    session.type("\u0003");
    expect(await session.exited).toBe(130);
    expect(session.output).toContain('\u001b[90m1\u001b[39m \u001b[32mput\u001b[39m a "one"\r\n');

    const plain = openTerminal(from, { url: server.url, environment: { NO_COLOR: "1" } });
    await plain.until(ESCAPED);
    plain.type("\u0003");
    expect(await plain.exited).toBe(130);
    expect(plain.output).toStartWith('1 put a "one"\r\n');
    expectHarmless(plain.output.replaceAll("\r\n", "\n"));
  });
});

describe("serve", () => {
  test("Ctrl-C stops it in order, and warnings are yellow", async () => {
    const argv = ["serve", "--port=0", "--host=0.0.0.0", "--data", join(temporary.path, "other")];
    const session = openTerminal(argv);
    await session.until("\u001b[33mwarning: other machines can reach");
    session.type("\u0003");
    expect(await session.exited).toBe(0);
    expect(session.output).toContain(
      "SIGINT: finishing what is in flight\r\nstopped at revision 0",
    );
  });
});

/** Nothing that a terminal acts on but line ends. */
function expectHarmless(output: string): void {
  expect(output.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\u202e]/u);
}
