/** backup: what it saves, what it leaves behind when it fails, and what it says. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { testWithTool } from "../support/needs.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";
import { expectFailure, kv, onTerminal, openTerminal, shell, start } from "./rig.ts";

let temporary: TemporaryDirectory;
let server: ServerProcess;
let directories = 0;

beforeAll(async () => {
  temporary = temporaryDirectory();
  server = await startServerProcess({ directory: join(temporary.path, "data") });
  for (const value of ["1", "2", "3"]) await kv(["put", "k", value], { url: server.url });
});

afterAll(async () => {
  await server.kill();
  temporary.remove();
});

/** A directory of its own, and `kv` run in it. */
function fresh() {
  const directory = join(temporary.path, `work-${++directories}`);
  mkdirSync(directory);
  const options = { directory, url: server.url };
  return {
    options,
    path: (name: string) => join(directory, name),
    names: () => readdirSync(directory).sort(),
    run: (...argv: string[]) => kv(["backup", ...argv], options),
  };
}

describe("a backup to a file", () => {
  test("is whole, for its owner alone, and told of on stderr", async () => {
    const { run, names, path } = fresh();
    const { exitCode, stdout, stderr } = await run("all.kvbackup");
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" });
    expect(stderr).toMatch(
      /^saved store [0-9a-f]{32} up to revision \d+ in all\.kvbackup: \d+ commits, .*\n$/,
    );
    expect(names()).toEqual(["all.kvbackup"]);
    expect(statSync(path("all.kvbackup")).mode & 0o777).toBe(0o600);
    expect(readFileSync(path("all.kvbackup")).subarray(1, 6).toString()).toBe("kvsnp");
  });

  test("can be told of in JSON", async () => {
    const { run, path } = fresh();
    const { stdout, stderr } = await run("all.kvbackup", "-o", "json");
    expect(stderr).toBe("");
    const { size } = statSync(path("all.kvbackup"));
    const shape = { file: "all.kvbackup", revision: 3, oldest: 0, commits: 3, bytes: size };
    expect(JSON.parse(stdout)).toMatchObject(shape);
    expect(JSON.parse(stdout)).not.toHaveProperty("since");
  });

  test("of what came later is smaller, and says from where on", async () => {
    const { run } = fresh();
    const { stderr } = await run("later.kvbackup", "--since", "2");
    expect(stderr).toContain(" from 2 to 3 in later.kvbackup: 1 commit, ");
  });

  test("does not touch a file that is there, unless it is told to", async () => {
    const { run, names, path } = fresh();
    writeFileSync(path("mine"), "precious");
    expectFailure(await run("mine"), 1, "mine is there already; choose another name, or replace");
    expect(readFileSync(path("mine"), "utf8")).toBe("precious");
    expect((await run("mine", "--force")).exitCode).toBe(0);
    expect(readFileSync(path("mine")).subarray(1, 6).toString()).toBe("kvsnp");
    expect(names()).toEqual(["mine"]);
  });

  test("goes where a link leads, and leaves the link", async () => {
    const { run, names, path } = fresh();
    mkdirSync(path("elsewhere"));
    writeFileSync(path("elsewhere/real"), "old");
    symlinkSync("elsewhere/real", path("link"));
    expectFailure(await run("link"), 1, "link is there already");
    expect((await run("link", "--force")).exitCode).toBe(0);
    expect(readFileSync(path("elsewhere/real")).subarray(1, 6).toString()).toBe("kvsnp");
    expect(names()).toEqual(["elsewhere", "link"]);
    expect(readdirSync(path("elsewhere"))).toEqual(["real"]);
  });

  test("replaces no directory and no device", async () => {
    const { run, path } = fresh();
    mkdirSync(path("folder"));
    expectFailure(await run("folder", "--force"), 1, "folder is a directory; name a file in it");
    expectFailure(await run("/dev/null", "--force"), 1, "/dev/null is no regular file");
    expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
  });

  test("is not begun where no file can be", async () => {
    const { run, names, path } = fresh();
    expectFailure(await run("no/such/all.kvbackup"), 1, "there is no such file or directory");
    writeFileSync(path("file"), "");
    expectFailure(await run("file/all.kvbackup"), 1, "a part of the path is no directory");
    expect(names()).toEqual(["file"]);
  });

  test("shows no control characters of the name", async () => {
    const { run } = fresh();
    const { stderr } = await run("a\u001b[31mb");
    expect(stderr).toContain(String.raw`in "a\u001b[31mb": `);
    expect(stderr).not.toContain("\u001b");
  });
});

describe("what goes wrong leaves nothing behind", () => {
  test("a revision that the store cannot serve", async () => {
    const { run, names } = fresh();
    expectFailure(await run("all", "--since", "99"), 2, "since is 99, but the store is at");
    expect(names()).toEqual([]);
  });

  test("a server that is not there", async () => {
    const { run, names } = fresh();
    expectFailure(await run("all", "--url", ":1"), 6, "no server listens at");
    expect(names()).toEqual([]);
  });

  test.each([
    ["cut off, as if it were whole", (bytes: Buffer) => bytes.subarray(0, -40), /cut short/],
    ["changed on the way", flipped, /the backup is broken at byte \d+: /],
    ["none of kv's", () => Buffer.from("x".repeat(500)), /it is no backup of kv/],
  ])("a copy that comes %s", async (_, change, message) => {
    const { run, names } = fresh();
    await using other = await relay(change);
    const ran = await run("all", "--url", other.url);
    expectFailure(ran, 1, message);
    expect(names()).toEqual([]);
  });

  test("a file that was to be replaced stays, and is replaced in one step", async () => {
    const { run, names, path } = fresh();
    writeFileSync(path("mine"), "precious");
    await using other = await relay((bytes) => bytes.subarray(0, -40));
    expectFailure(await run("mine", "--force", "--url", other.url), 1, "cut short");
    expect(readFileSync(path("mine"), "utf8")).toBe("precious");
    expect(names()).toEqual(["mine"]);
  });

  test("a full disk is exit code 8", async () => {
    const { options, names } = fresh();
    const big = new Uint8Array(200_000);
    await kv(["put", "big", "-"], { url: server.url, input: big });
    const ran = await shell("ulimit -f 64; kv backup all", options);
    expectFailure(ran, 8, "cannot write all: the file would be larger than is allowed");
    expect(names()).toEqual([]);
  });

  test.each(["SIGINT", "SIGTERM"] as const)("%s in the middle", async (signal) => {
    const { options, names } = fresh();
    await using stalled = stallingServer();
    const child = start(["backup", "all", "--url", stalled.url], options);
    await stalled.begun;
    while (!names().some((name) => name.endsWith(".partial"))) await Bun.sleep(2);
    expect(await child.kill(signal)).toBe(signal === "SIGINT" ? 130 : 143);
    expect(names()).toEqual([]);
    expect(child.output).toEqual({ stdout: "", stderr: "" });
  });

  test("a server that falls silent in the middle", async () => {
    const { run, names } = fresh();
    await using stalled = stallingServer();
    const ran = await run("all", "--url", stalled.url, "--timeout", "200ms");
    expectFailure(ran, 6, "stalled for 0.2 s");
    expect(names()).toEqual([]);
  });
});

testWithTool(
  "strace",
  "the bytes are on disk before the name, and the name at the end",
  async () => {
    const { options, path } = fresh();
    const calls = "trace=fsync,fdatasync,rename,renameat,renameat2";
    const through = ["strace", "-f", "-qq", "-e", "signal=none", "-o", "calls", "-e", calls];
    const child = start(["backup", "all"], { ...options, through });
    expect(await child.exited).toBe(0);
    const made = [...readFileSync(path("calls"), "utf8").matchAll(/\b(fsync|fdatasync|rename)/g)];
    expect(made.map(([name]) => name)).toEqual(["fsync", "rename", "fsync"]);
  },
);

describe("a backup to stdout", () => {
  test("is the same as to a file", async () => {
    const { run, path } = fresh();
    const { exitCode, bytes, stderr } = await run("-");
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/^saved store \S+ up to revision \d+: /);
    await run("all");
    // But for the time at which each was begun, and what follows from its checksum.
    expect(bytes.length).toBe(statSync(path("all")).size);
  });

  test("fails when the reader goes away before it is whole", async () => {
    const { options } = fresh();
    const value = new Uint8Array(1_000_000);
    await kv(["put", "large", "-"], { url: server.url, input: value });
    const line =
      "kv backup - 2> errors | head -c 10 > /dev/null; echo ${PIPESTATUS[0]}; cat errors";
    const { stdout } = await shell(line, options);
    expect(stdout).toBe(
      "1\nkv backup: the reader of stdout went away before the backup was whole\n",
    );
  });

  test("is refused where stdout is closed: its bytes would be gone", async () => {
    const { options } = fresh();
    expectFailure(await shell("kv backup - >&-", options), 1, "stdout is closed");
    // This is what somebody may want, to see that all of it can be read.
    expect((await shell("kv backup - > /dev/null", options)).exitCode).toBe(0);
  });

  test("does not go to a terminal", async () => {
    const { exitCode, output } = await onTerminal(["backup", "-"], { url: server.url });
    expect(exitCode).toBe(2);
    expect(output).toContain("a backup is no text for a terminal; name a file");
  });
});

describe("on a terminal", () => {
  test("a line says how far it is, and is gone at the end", async () => {
    const { options, names } = fresh();
    await using slow = stallingServer(20);
    const session = openTerminal(["backup", "all", "--url", slow.url], options);
    await session.until("backing up: ");
    session.type("\u0003");
    expect(await session.exited).toBe(130);
    expect(session.output).toMatch(/^\rbacking up: \d+ bytes, [\d.]+ \w+\/s\p{Cc}\[K/u);
    expect(session.output).toEndWith("^C\r\n\r\u001b[K");
    expect(names()).toEqual([]);
  });

  test("there is no such line where stderr is none, or the terminal cannot rewrite it", async () => {
    const { options } = fresh();
    await using slow = stallingServer(20);
    const child = start(["backup", "all", "--url", slow.url], options);
    await slow.begun;
    await Bun.sleep(300);
    await child.kill("SIGINT");
    expect(child.output.stderr).toBe("");
    const environment = { TERM: "dumb" };
    const ran = await onTerminal(["backup", "dumb"], { ...options, environment });
    expect(ran.output).toMatch(/^saved store \P{Cc}*\r\n$/u);
  });
});

// --- internal ---

function flipped(bytes: Buffer): Buffer {
  bytes[200]! ^= 1;
  return bytes;
}

interface OtherServer extends AsyncDisposable {
  readonly url: string;
}

/** A server whose copy is that of the real one, changed. */
async function relay(change: (bytes: Buffer) => Uint8Array): Promise<OtherServer> {
  const copy = await (await fetch(`${server.url}/v1/snapshot`)).bytes();
  const body = change(Buffer.from(copy));
  return listening(() => new Response(body as Uint8Array<ArrayBuffer>, { headers: COPY_TYPE }));
}

/** A server whose copy begins and goes no further, or in pieces that never end. */
function stallingServer(everyMs?: number): OtherServer & { readonly begun: Promise<void> } {
  const begun = Promise.withResolvers<void>();
  const other = listening(async () => {
    const copy = await (await fetch(`${server.url}/v1/snapshot`)).bytes();
    async function* pieces() {
      yield copy.subarray(0, 200);
      begun.resolve();
      // One byte after the other: far from the end for long.
      const last = everyMs === undefined ? 0 : copy.length - 1;
      for (let at = 200; at < last; at++) {
        yield copy.subarray(at, at + 1);
        await Bun.sleep(everyMs!);
      }
      await new Promise(() => {});
    }
    return new Response(pieces() as unknown as ReadableStream, { headers: COPY_TYPE });
  });
  return Object.assign(other, { begun: begun.promise });
}

const COPY_TYPE = { "Content-Type": "application/x-kv-snapshot" };

function listening(answer: () => Response | Promise<Response>): OtherServer {
  const other = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: answer });
  return {
    url: `http://127.0.0.1:${other.port}`,
    [Symbol.asyncDispose]: () => other.stop(true),
  };
}
