/** check: what it says of a sound, a damaged and a missing store, and what a repair makes of it. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { startServerProcess } from "../support/server-process.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";
import { expectFailure, kv, onTerminal, type Ran } from "./rig.ts";

let temporary: TemporaryDirectory;
let directories = 0;

const SEGMENT = "0000000001.log";
/** A key that would move the cursor, change the colour and the direction of what is shown. */
const EVIL = "evil\u001b[31m\u202e";

beforeAll(async () => {
  temporary = temporaryDirectory();
  const directory = join(temporary.path, "data");
  const server = await startServerProcess({ directory, flags: ["--reserve-bytes", "0"] });
  for (const key of ["a", "b", EVIL, "c"]) await kv(["put", key, "value"], { url: server.url });
  await server.kill("SIGTERM");
});

afterAll(() => temporary.remove());

/** A copy of the store as `data`, and `kv` run beside it. */
function fresh() {
  const directory = join(temporary.path, `work-${++directories}`);
  mkdirSync(directory);
  cpSync(join(temporary.path, "data"), join(directory, "data"), { recursive: true });
  return {
    options: { directory },
    path: (name: string) => join(directory, name),
    names: () => readdirSync(directory).sort(),
    run: (...argv: string[]) => kv(["check", ...argv], { directory }),
  };
}

/** Changes a byte of the value of `EVIL`. */
function damage(path: string): void {
  const bytes = readFileSync(path);
  const at = bytes.indexOf(EVIL) + Buffer.byteLength(EVIL) + "text/plain; charset=utf-8".length;
  bytes[at]! ^= 1;
  writeFileSync(path, bytes);
}

/** What the directory is, down to the bytes. */
function contentOf(directory: string): Record<string, string> {
  const names = readdirSync(directory).sort();
  return Object.fromEntries(
    names.map((name) => [name, readFileSync(join(directory, name)).toString("base64")]),
  );
}

function lines({ stdout }: Ran): string[] {
  return stdout.trimEnd().split("\n");
}

describe("a sound store", () => {
  test("is said to be one, and stays as it is", async () => {
    const { run, path } = fresh();
    const before = contentOf(path("data"));
    const ran = await run("data");
    expect({ exitCode: ran.exitCode, stderr: ran.stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(lines(ran).at(0)).toBe(`directory ${path("data")}`);
    expect(lines(ran)).toContain("revision  4, readable from 0");
    expect(lines(ran)).toContain("keys      4");
    expect(lines(ran).at(-1)).toBe("verdict   sound");
    expect(contentOf(path("data"))).toEqual(before);
  });

  test("is said to be one in JSON", async () => {
    const { run, path } = fresh();
    const { stdout, exitCode } = await run("data", "-o", "json");
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      directory: path("data"),
      sound: true,
      findings: [],
      store: expect.stringMatching(/^[0-9a-f]{32}$/),
      revision: 4,
      oldest: 0,
      keys: 4,
      segments: 1,
      commits: 4,
    });
  });

  test("is looked for where KV_DATA says, else in ./kv-data", async () => {
    const { options, path } = fresh();
    const environment = { KV_DATA: "data" };
    const there = await kv(["check"], { ...options, environment });
    expect(lines(there)[0]).toBe(`directory ${path("data")}`);
    expectFailure(await kv(["check"], options), 3, `no directory ${path("kv-data")}`);
  });

  test("with an unfinished write at its end is sound, and a note says so", async () => {
    const { run, path } = fresh();
    appendFileSync(path(`data/${SEGMENT}`), "half a record");
    const ran = await run("data");
    expect(ran.exitCode).toBe(0);
    expect(lines(ran).filter((line) => line.startsWith("note "))).toHaveLength(1);
    expect(ran.stdout).toContain(SEGMENT);
  });
});

describe("a damaged store", () => {
  test("is exit code 1, with the file, the offset, and what to do", async () => {
    const { run, path } = fresh();
    damage(path(`data/${SEGMENT}`));
    const before = contentOf(path("data"));
    const ran = await run("data");
    expect({ exitCode: ran.exitCode, stderr: ran.stderr }).toEqual({ exitCode: 1, stderr: "" });
    const found = lines(ran).filter((line) => line.startsWith("damage "));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^damage {4}0000000001\.log at offset \d+: .*revision 3/);
    expect(lines(ran).at(-1)).toStartWith("verdict   damaged in 1 place; a backup is the best way");
    expect(contentOf(path("data"))).toEqual(before);
  });

  test("shows no control characters of its keys, but names them", async () => {
    const { run, path } = fresh();
    damage(path(`data/${SEGMENT}`));
    for (const output of ["table", "json"]) {
      const { stdout } = await run("data", "-o", output);
      expect(stdout).toContain(String.raw`evil\u001b[31m\u202e`);
      expect(stdout).not.toMatch(/\p{Cc}(?<!\n)|\u202e/u);
    }
  });

  test("has its findings in JSON", async () => {
    const { run, path } = fresh();
    damage(path(`data/${SEGMENT}`));
    const { stdout, exitCode } = await run("data", "-o", "json");
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      sound: false,
      findings: [
        {
          severity: "damage",
          file: SEGMENT,
          offset: expect.any(Number),
          revisions: { first: 3, last: 3 },
          keys: [EVIL],
        },
      ],
    });
  });
});

describe("what is no store", () => {
  test("a directory that is not there is exit code 3, and not made", async () => {
    const { run, path, names } = fresh();
    expectFailure(await run("nowhere"), 3, `there is no directory ${path("nowhere")}`);
    expect(names()).toEqual(["data"]);
  });

  test("an empty directory is exit code 3, and left empty", async () => {
    const { run, path } = fresh();
    mkdirSync(path("empty"));
    expectFailure(await run("empty"), 3, "there is no store");
    expect(readdirSync(path("empty"))).toEqual([]);
  });

  test("a file is exit code 1", async () => {
    const { run, path } = fresh();
    writeFileSync(path("file"), "");
    expectFailure(await run("file"), 1, "a part of the path is no directory");
  });
});

test("a store that a server has open is exit code 4, and the server goes on", async () => {
  const { run, path } = fresh();
  await using server = await startServerProcess({ directory: path("data") });
  expectFailure(await run("data"), 4, "a running kv has");
  expectFailure(await run("data", "--repair", "--into", "new"), 4, "in use by another kv");
  expect((await kv(["put", "more", "1"], { url: server.url })).exitCode).toBe(0);
  expect(await server.kill("SIGTERM")).toBe(0);
});

describe("a repair", () => {
  test("copies what is sound, lists what is lost, and leaves the damaged store alone", async () => {
    const { run, path, names } = fresh();
    damage(path(`data/${SEGMENT}`));
    const before = contentOf(path("data"));
    const ran = await run("data", "--repair", "--into", "new");
    expect({ exitCode: ran.exitCode, stderr: ran.stderr }).toEqual({ exitCode: 1, stderr: "" });
    expect(ran.stdout).toMatch(/^damage {4}0000000001\.log at offset \d+: .*revision 3/);
    expect(ran.stdout).not.toMatch(/\p{Cc}(?<!\n)|\u202e/u);
    expect(lines(ran).slice(-2)).toEqual([
      "verdict   what stands under damage above is lost",
      `next      kv serve --data ${path("new")}`,
    ]);
    expect(contentOf(path("data"))).toEqual(before);
    expect(names()).toEqual(["data", "new"]);
    expect(statSync(path("new")).mode & 0o777).toBe(0o700);
    expect((await run("new")).exitCode).toBe(0);
    await using server = await startServerProcess({ directory: path("new") });
    expect((await kv(["ls"], { url: server.url })).stdout).toBe("a\nb\nc\n");
  });

  test("of a sound store loses nothing, exit code 0", async () => {
    const { run, path } = fresh();
    const { stdout, exitCode } = await run("data", "--repair", "--into", "new", "-o", "json");
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      directory: path("data"),
      into: path("new"),
      lost: false,
      keys: 4,
      revision: 4,
    });
  });

  test("into a directory that is not empty is refused, exit code 4", async () => {
    const { run, path } = fresh();
    mkdirSync(path("mine"));
    writeFileSync(path("mine/notes"), "precious");
    expectFailure(
      await run("data", "--repair", "--into", "mine"),
      4,
      "is not empty: there is notes",
    );
    expect(readFileSync(path("mine/notes"), "utf8")).toBe("precious");
  });

  test("of what is no store makes nothing", async () => {
    const { run, path, names } = fresh();
    expectFailure(await run("nowhere", "--repair", "--into", "new"), 3, "there is no directory");
    mkdirSync(path("empty"));
    expectFailure(await run("empty", "--repair", "--into", "new"), 3, "there is no store");
    expect(names()).toEqual(["data", "empty"]);
  });
});

test("on a terminal it ends with the same lines", async () => {
  const { options } = fresh();
  const { output, exitCode } = await onTerminal(["check", "data"], options);
  expect(exitCode).toBe(0);
  expect(output).toEndWith("verdict   sound\r\n");
});
