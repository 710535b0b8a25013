/** restore: what it makes, what it refuses, and what it leaves behind when it is ended. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";
import { expectFailure, kv, onTerminal, openTerminal, shell, start } from "./rig.ts";

let temporary: TemporaryDirectory;
let server: ServerProcess;
let directories = 0;

/** Of the store of `server`: a full one, and two that go on from it. */
const FILES = ["full", "second", "third"];

beforeAll(async () => {
  temporary = temporaryDirectory();
  server = await startServerProcess({ directory: join(temporary.path, "data") });
  const options = { url: server.url, directory: temporary.path };
  for (let revision = 1; revision <= 6; revision++) {
    await kv(["put", `k${revision}`, `v${revision}`], options);
    if (revision % 2 === 1) continue;
    const since = revision === 2 ? [] : ["--since", String(revision - 2)];
    await kv(["backup", FILES[revision / 2 - 1]!, ...since], options);
  }
});

afterAll(async () => {
  await server.kill();
  temporary.remove();
});

/** The path of a backup. */
function file(name: string): string {
  return join(temporary.path, name);
}

/** A directory of its own to restore in, and `kv` run in it. */
function fresh() {
  const directory = join(temporary.path, `work-${++directories}`);
  mkdirSync(directory);
  const options = { directory };
  return {
    options,
    path: (name: string) => join(directory, name),
    names: () => readdirSync(directory).sort(),
    run: (...argv: string[]) => kv(["restore", ...argv], options),
  };
}

describe("a restore", () => {
  test("makes a store with the same entries and revisions, and another id", async () => {
    const { run, path } = fresh();
    const ran = await run(...FILES.map(file), "--data", "new");
    expect({ exitCode: ran.exitCode, stdout: ran.stdout }).toEqual({ exitCode: 0, stdout: "" });
    expect(ran.stderr).toMatch(
      /^restored revision 6 \(readable from 0\) as store [0-9a-f]{32}: 6 keys, .*\n$/,
    );
    expect(ran.stderr).toContain(`; run it with: kv serve --data ${path("new")}\n`);
    expect(statSync(path("new")).mode & 0o777).toBe(0o700);
    await using again = await startServerProcess({ directory: path("new") });
    const [was, is] = await Promise.all([statusOf(server), statusOf(again)]);
    expect(is).toMatchObject({ keys: 6, oldest: 0 });
    expect(is["store"]).not.toBe(was["store"]);
    expect(is["revision"]).toBeGreaterThan(1_000_000);
    const { stdout } = await kv(["ls", "-o", "json"], { url: again.url });
    expect(stdout).toBe((await kv(["ls", "-o", "json"], { url: server.url })).stdout);
    const old = await kv(["get", "k2", "--revision", "2"], { url: again.url });
    expect(old.stdout).toBe("v2");
  });

  test("is told of in JSON", async () => {
    const { run, path } = fresh();
    const { stdout, stderr } = await run(file("full"), "--data", "new", "-o", "json");
    expect(stderr).toBe("");
    const { store } = await statusOf(server);
    expect(JSON.parse(stdout)).toMatchObject({
      directory: path("new"),
      from: store,
      revision: 2,
      oldest: 0,
      keys: 2,
    });
  });

  test("reads stdin, also between files", async () => {
    const { options, path } = fresh();
    const line = `cat ${file("second")} | kv restore ${file("full")} - ${file("third")} --data new`;
    const { exitCode, stderr } = await shell(line, options);
    expect(exitCode).toBe(0);
    expect(stderr).toContain("restored revision 6 ");
    expect(existsSync(path("new/DURABLE"))).toBe(true);
  });

  test("goes where KV_DATA says, else to ./kv-data", async () => {
    const { options, names } = fresh();
    const environment = { KV_DATA: "here" };
    await kv(["restore", file("full")], { ...options, environment });
    await kv(["restore", file("full")], options);
    expect(names()).toEqual(["here", "kv-data"]);
  });
});

describe("nothing is made of", () => {
  test.each([
    [
      "backups out of order",
      ["full", "third"],
      2,
      "goes on from revision 4, but the backup before",
    ],
    ["one that is not the first", ["second"], 2, "the full backup that it goes on from must come"],
    ["two full ones", ["full", "full"], 2, "is a full backup; only the first may be one"],
    ["one that is not there", ["full", "nowhere"], 1, "there is no such file or directory"],
  ])("%s", async (_, files, exitCode, message) => {
    const { run, names } = fresh();
    expectFailure(await run(...files.map(file), "--data", "new"), exitCode, message);
    expect(names()).toEqual([]);
  });

  test.each([
    ["cut short", (bytes: Buffer) => bytes.subarray(0, -1), "is cut short after"],
    ["damaged", flipped, /broken at byte \d+/],
    ["longer than it was", (bytes: Buffer) => Buffer.concat([bytes, bytes]), "behind its end"],
    ["no backup", () => Buffer.from("x".repeat(1_000)), "it is no backup of kv"],
    ["empty", () => Buffer.alloc(0), "is cut short after 0 bytes"],
  ])("a backup that is %s", async (_, change, message) => {
    const { run, path, names } = fresh();
    writeFileSync(path("bad\u001b"), change(readFileSync(file("full"))));
    const ran = await run("bad\u001b", "--data", "new");
    expectFailure(ran, 1, message);
    expect(ran.stderr).toStartWith(String.raw`kv restore: "bad\u001b": the backup `);
    expect(names()).toEqual(["bad\u001b"]);
  });

  test("a backup of another store in between", async () => {
    const { run, path, names, options } = fresh();
    await using other = await startServerProcess({ directory: path("other") });
    for (const value of ["1", "2", "3"]) await kv(["put", "k", value], { url: other.url });
    await kv(["backup", "theirs", "--since", "2"], { ...options, url: other.url });
    const ran = await run(file("full"), "theirs", "--data", "new");
    expectFailure(ran, 2, /theirs is of store \w+, those before it are of store/);
    expect(names()).toEqual(["other", "theirs"]);
  });
});

describe("a directory that is not empty", () => {
  test("is refused and left as it is", async () => {
    const { run, path } = fresh();
    mkdirSync(path("mine"));
    writeFileSync(path("mine/notes"), "precious");
    const ran = await run(file("full"), "--data", "mine");
    expectFailure(ran, 4, `${path("mine")} is not empty: there is notes; choose a directory`);
    expect(readFileSync(path("mine/notes"), "utf8")).toBe("precious");
  });

  test("is refused where it is in use", async () => {
    const { run } = fresh();
    const ran = await run(file("full"), "--data", join(temporary.path, "data"));
    expectFailure(ran, 4, "is in use by another kv");
  });

  test("that is a file is said so", async () => {
    const { run, path } = fresh();
    writeFileSync(path("file"), "");
    expectFailure(await run(file("full"), "--data", "file"), 1, "cannot restore into");
  });

  test("but for the lock of a store that never was is empty", async () => {
    const { run, path } = fresh();
    mkdirSync(path("mine"));
    writeFileSync(path("mine/LOCK"), "");
    expect((await run(file("full"), "--data", "mine")).exitCode).toBe(0);
  });
});

describe("in the middle", () => {
  test("Ctrl-C on a terminal leaves nothing behind", async () => {
    const { options, names, path } = fresh();
    await using _ = await openPipe(options);
    const session = openTerminal(["restore", "pipe", "--data", "new"], options);
    while (!existsSync(path("new/DURABLE"))) await Bun.sleep(2);
    session.type("\u0003");
    expect(await session.exited).toBe(130);
    expect(names()).toEqual(["pipe"]);
    expect(session.output).not.toContain("kv restore:");
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s leaves nothing behind", async (signal, exitCode) => {
    const { options, names, path } = fresh();
    await using _ = await openPipe(options);
    const child = start(["restore", "pipe", "--data", "new"], options);
    while (!existsSync(path("new/DURABLE"))) await Bun.sleep(2);
    expect(await child.kill(signal)).toBe(exitCode);
    expect(names()).toEqual(["pipe"]);
    expect(child.output).toEqual({ stdout: "", stderr: "" });
  });

  test("an empty directory that was there stays, and is empty but for its lock", async () => {
    const { run, path } = fresh();
    mkdirSync(path("mine"));
    expectFailure(await run(file("second"), "--data", "mine"), 2, "must come first");
    expect(readdirSync(path("mine")).filter((name) => name !== "LOCK")).toEqual([]);
  });
});

test("a terminal is no backup", async () => {
  const { exitCode, output } = await onTerminal(["restore", "-"]);
  expect(exitCode).toBe(2);
  expect(output).toContain("stdin is a terminal; a backup comes from a file or a pipe");
});

// --- internal ---

async function statusOf({ url }: ServerProcess): Promise<Record<string, unknown>> {
  return (await (await fetch(`${url}/v1/status`)).json()) as Record<string, unknown>;
}

function flipped(bytes: Buffer): Buffer {
  bytes[250]! ^= 1;
  return bytes;
}

/** Most of a backup in a pipe that goes on to be open, as long as the result is not disposed of. */
async function openPipe({ directory }: { directory: string }): Promise<AsyncDisposable> {
  await shell("mkfifo pipe", { directory });
  const writing = `exec > pipe; head -c 400 ${file("full")}; exec sleep 600`;
  const writer = Bun.spawn(["bash", "-c", writing], { cwd: directory });
  return {
    async [Symbol.asyncDispose]() {
      writer.kill();
      await writer.exited;
    },
  };
}
