/** stdout as a stream: readers that leave early, that are slow, or that are not there at all. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { kv, shell, type Ran } from "./rig.ts";

const temporary = temporaryDirectory();
/** A program that makes its stdout non-blocking, for whoever has it after. */
const unblock = join(temporary.path, "non-blocking.cjs");
let server: ServerProcess;

beforeAll(async () => {
  await Bun.write(unblock, UNBLOCK);
  server = await startServerProcess({ directory: join(temporary.path, "data") });
  const puts = Array.from({ length: 5_000 }, (_, index) => {
    return {
      op: "put",
      key: `key/${String(index).padStart(5, "0")}/${"x".repeat(50)}`,
      value: "v",
    };
  });
  await kv(["txn", "-"], { url: server.url, input: JSON.stringify({ then: puts }) });
  await shell("yes | head -c 8000000 | kv put big -", { url: server.url });
});

afterAll(async () => {
  await server.kill();
  temporary.remove();
});

const UNBLOCK = `
  const { dlopen } = require("bun:ffi");
  const { constants } = require("node:fs");
  const name = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";
  const { symbols } = dlopen(name, { fcntl: { args: ["i32", "i32", "i32"], returns: "i32" } });
  symbols.fcntl(1, 4, symbols.fcntl(1, 3, 0) | constants.O_NONBLOCK);`;

/** Runs shell in which a pipe's first part is kv, and adds that part's exit code as the last line. */
function piped(line: string): Promise<Ran> {
  return shell(`${line}; echo "exit \${PIPESTATUS[0]}"`, { url: server.url });
}

describe("a closed pipe ends a command quietly", () => {
  test.each([
    ["kv ls key/ | head -1", /^key\/00000\/x{50}\nexit 0\n$/],
    ["kv ls -o table | head -1", /^KEY .*\nexit 0\n$/],
    ["kv ls -o json | head -1", /^\{.*\}\nexit 0\n$/],
    ["kv get big | head -c 1", /^yexit 0\n$/],
    ["kv watch --from 1 | head -1", /^\{.*\}\nexit 0\n$/],
    ["kv get big | true", /^exit 0\n$/],
    ["kv ls --delimiter / -o table | head -1", /^KEY .*\nexit 0\n$/],
    ["kv history big -o table | true", /^exit 0\n$/],
    ["kv wait big | head -c 1", /^yexit 0\n$/],
    ["kv incr counted | true", /^exit 0\n$/],
    ["kv txn <(echo {}) | true", /^exit 0\n$/],
    ["kv ls | true", /^exit 0\n$/],
    ["kv status -o json | true", /^exit 0\n$/],
    ["kv --help | true", /^exit 0\n$/],
    ["kv put --help | true", /^exit 0\n$/],
    ["kv --version | true", /^exit 0\n$/],
  ])("%s", async (line, stdout) => {
    const ran = await piped(line);
    expect(ran.stdout).toMatch(stdout);
    expect(ran).toMatchObject({ stderr: "", exitCode: 0 });
  });

  test("the write of a put is done whoever reads its answer", async () => {
    expect((await piped("kv put closed yes -o json | true")).stdout).toBe("exit 0\n");
    expect((await kv(["get", "closed"], { url: server.url })).stdout).toBe("yes");
  });

  test("a failure keeps its exit code when nobody reads stderr", async () => {
    const ran = await shell("kv get nowhere 2>&1 >/dev/null | true; echo ${PIPESTATUS[0]}", {
      url: server.url,
    });
    expect(ran.stdout).toBe("3\n");
  });
});

describe("every byte arrives", () => {
  const sum = "cksum";

  test("at a slow reader", async () => {
    const line = `kv get big | (sleep 0.2; ${sum}); yes | head -c 8000000 | ${sum}`;
    const [got, wanted] = (await shell(line, { url: server.url })).stdout.trimEnd().split("\n");
    expect(got).toBe(wanted!);
  });

  test("through a pipe that another program has made non-blocking", async () => {
    // The pipe is full before its reader begins, so a write meets EAGAIN.
    const line = `("${process.execPath}" ${unblock}; kv get big) | (sleep 0.5; ${sum}); yes | head -c 8000000 | ${sum}`;
    const ran = await shell(line, { url: server.url });
    const [got, wanted] = ran.stdout.trimEnd().split("\n");
    expect(ran.stderr).toBe("");
    expect(got).toBe(wanted!);
  });

  test("through a pipe that does not block and has room for less than the value", async () => {
    // 70,000 bytes do not fit into a pipe at once; what came through must not come twice.
    await shell("yes | head -c 70000 | kv put middle -", { url: server.url });
    const line = `("${process.execPath}" ${unblock}; kv get middle) | (sleep 0.5; ${sum}); yes | head -c 70000 | ${sum}`;
    const [got, wanted] = (await shell(line, { url: server.url })).stdout.trimEnd().split("\n");
    expect(got).toBe(wanted!);
  });

  test("behind what was in a file before, also of a value without bytes", async () => {
    const path = join(temporary.path, "appended");
    const line = `(kv put none ''; kv put few 12; kv get few; kv get none; kv get few) > ${path}; kv get none >> ${path}; kv get few >> ${path}`;
    await shell(line, { url: server.url });
    expect(await Bun.file(path).text()).toBe("121212");
  });

  test("in a file", async () => {
    const path = join(temporary.path, "big");
    await shell(`kv get big > ${path}`, { url: server.url });
    expect(Bun.file(path).size).toBe(8_000_000);
  });
});

describe("an output that cannot be written is a failure in one line", () => {
  test("a full disk", async () => {
    const ran = await shell("kv get big > /dev/full", { url: server.url });
    expect(ran.exitCode).toBe(1);
    expect(ran.stderr).toMatch(/^kv get: cannot write to stdout: ENOSPC[^\n]*\n$/);
  });

  test("a full disk, for a value that fits into a pipe at once", async () => {
    const ran = await shell("kv put few 12; kv get few > /dev/full", { url: server.url });
    expect(ran.exitCode).toBe(1);
    expect(ran.stderr).toMatch(/^kv get: cannot write to stdout: ENOSPC[^\n]*\n$/);
  });

  test("a closed stdout does no harm", async () => {
    const { stderr, exitCode } = await shell("kv get big >&-; kv health", { url: server.url });
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  });

  test("a closed stderr changes no exit code", async () => {
    expect((await shell("kv get nowhere 2>&-", { url: server.url })).exitCode).toBe(3);
  });
});
