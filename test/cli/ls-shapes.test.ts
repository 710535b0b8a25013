/** ls beyond plain keys: order, folders, counts, and the table that tells how long keys have left. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { kv, onTerminal, shell, type Ran } from "./rig.ts";

const temporary = temporaryDirectory();
let server: ServerProcess;

const KEYS = ["a", "a/", "a/1", "a/b/1", "a/b/2", "a/b/c/1", "a/z", "a0", "é/1", "💾"];

beforeAll(async () => {
  server = await startServerProcess({ directory: join(temporary.path, "data") });
  const then = KEYS.map((key) => ({ op: "put", key, value: `value of ${key}` }));
  await kv(["txn", "-"], { url: server.url, input: JSON.stringify({ then }) });
});

afterAll(async () => {
  await server.kill();
  temporary.remove();
});

function run(...argv: string[]): Promise<Ran> {
  return kv(argv, { url: server.url });
}

async function lines(...argv: string[]): Promise<string[]> {
  const { stdout, stderr, exitCode } = await run("ls", ...argv);
  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  return stdout.split("\n").slice(0, -1);
}

describe("--reverse", () => {
  test("it goes from the last key to the first", async () => {
    expect(await lines("--reverse")).toEqual(KEYS.toReversed());
    expect(await lines("a/", "--reverse", "--limit", "2")).toEqual(["a/z", "a/b/c/1"]);
  });

  test("over more than one page", async () => {
    const then = Array.from({ length: 2_100 }, (_, index) => {
      return { op: "put", key: `p/${String(index).padStart(4, "0")}`, value: "" };
    });
    await kv(["txn", "-"], { url: server.url, input: JSON.stringify({ then }) });
    const keys = then.map(({ key }) => key).toReversed();
    expect(await lines("p/", "--reverse")).toEqual(keys);
    expect((await run("ls", "p/", "--count")).stdout).toBe("2100\n");
    await run("del", "--prefix", "p/");
  });
});

describe("--delimiter", () => {
  test("keys that share a folder are one row, in the order of all rows", async () => {
    expect(await lines("--delimiter", "/")).toEqual(["a", "a/", "a0", "é/", "💾"]);
    expect(await lines("a/", "--delimiter", "/")).toEqual(["a/", "a/1", "a/b/", "a/z"]);
    expect(await lines("a/", "--delimiter", "/", "--reverse")).toEqual([
      "a/z",
      "a/b/",
      "a/1",
      "a/",
    ]);
    expect(await lines("a/b", "--delimiter", "/")).toEqual(["a/b/"]);
    expect(await lines("--delimiter", "//")).toEqual(KEYS);
  });

  test("--limit counts folders and keys alike", async () => {
    expect(await lines("a/", "--delimiter", "/", "--limit", "3")).toEqual(["a/", "a/1", "a/b/"]);
  });

  test("-o json tells folders from entries", async () => {
    const rows = (await lines("a/b/", "--delimiter", "/", "-o", "json", "--keys")).map((line) =>
      JSON.parse(line),
    );
    expect(rows.map(({ key, folder, value }) => [key, folder, value])).toEqual([
      ["a/b/1", undefined, undefined],
      ["a/b/2", undefined, undefined],
      [undefined, "a/b/c/", undefined],
    ]);
    expect(rows[2]).toEqual({ folder: "a/b/c/" });
  });

  test("in a table a folder has its name only", async () => {
    const table = (await lines("a/", "--delimiter", "/", "-o", "table")).slice(2);
    expect(table.map((line) => line.split(/ +/)[0])).toEqual(["a/1", "a/b/", "a/z"]);
    expect(table[1]).toBe("a/b/");
    expect(await lines("é", "--delimiter", "/", "-o", "table")).toEqual(["KEY", "é/"]);
  });

  test("many folders come over several pages, each once", async () => {
    const then = Array.from({ length: 2_200 }, (_, index) => {
      return { op: "put", key: `f/${String(index >> 1).padStart(4, "0")}/${index & 1}`, value: "" };
    });
    await kv(["txn", "-"], { url: server.url, input: JSON.stringify({ then }) });
    const folders = Array.from({ length: 1_100 }, (_, at) => `f/${String(at).padStart(4, "0")}/`);
    expect(await lines("f/", "--delimiter", "/")).toEqual(folders);
    expect(await lines("f/", "--delimiter", "/", "--reverse")).toEqual(folders.toReversed());
    await run("del", "--prefix", "f/");
  });
});

describe("--count", () => {
  test("it is a number, of the range that is asked about", async () => {
    expect((await run("ls", "--count")).stdout).toBe(`${KEYS.length}\n`);
    expect((await run("ls", "a/b/", "--count")).stdout).toBe("3\n");
    expect((await run("ls", "--start", "a0", "--count")).stdout).toBe("3\n");
    expect(await run("ls", "nothing/", "--count")).toMatchObject({ stdout: "0\n", exitCode: 0 });
  });

  test("-o json has the revision with it", async () => {
    const { revision } = JSON.parse((await run("status", "-o", "json")).stdout);
    const answer = JSON.parse((await run("ls", "--count", "-o", "json")).stdout);
    expect(answer).toEqual({ revision, count: KEYS.length });
  });
});

describe("the time that keys have left", () => {
  test("stands in the table when any of them expires, and only then", async () => {
    const before = await lines("-o", "table");
    expect(before[0]).toMatch(/^KEY +REVISION {2}VERSION {2}CONTENT TYPE$/);
    await run("put", "a1", "x", "--ttl", "90m");
    const { output } = await onTerminal(["ls", "a"], { url: server.url });
    const table = output.split("\r\n");
    expect(table[0]).toMatch(/^KEY +REVISION {2}VERSION {2}EXPIRES IN {2}CONTENT TYPE$/);
    expect(table.find((line) => line.startsWith("a1 "))).toMatch(/ 1 {6}1h 30m {2}text\/plain/);
    expect(table.find((line) => line.startsWith("a0 "))).toMatch(/ 1 {14}text\/plain/);
    await run("del", "a1");
  });

  test("comes with new titles when the first key that expires is far down", async () => {
    const then = Array.from({ length: 1_500 }, (_, index) => {
      return { op: "put", key: `t/${String(index).padStart(4, "0")}`, value: "" };
    });
    const last = { op: "put", key: "t/9999", value: "", ttl: "2d" };
    await kv(["txn", "-"], {
      url: server.url,
      input: JSON.stringify({ then: [...then, last] }),
    });
    const table = await lines("t/", "-o", "table");
    const titles = table.filter((line) => line.startsWith("KEY "));
    expect(titles).toHaveLength(2);
    expect(titles[0]).not.toContain("EXPIRES IN");
    expect(titles[1]).toContain("EXPIRES IN");
    expect(table.at(-1)).toMatch(/^t\/9999 .* 2d {2}text/);
    expect(table).toHaveLength(1_503);
    await run("del", "--prefix", "t/");
  });

  test("of a read in the past may have passed", async () => {
    const { stdout } = await run("put", "brief", "x", "--ttl", "30ms", "-o", "json");
    const { revision } = JSON.parse(stdout);
    await run("wait", "brief", "--absent", "--timeout", "10s");
    const table = await lines("brief", "-o", "table", "--revision", String(revision));
    expect(table[1]).toMatch(/^brief .* passed {2}text/);
  });
});

test("folders feed the next listing", async () => {
  const script = "for folder in $(kv ls a/ --delimiter / | grep b/); do kv ls $folder; done";
  expect((await shell(script, { url: server.url })).stdout).toBe("a/b/1\na/b/2\na/b/c/1\n");
});
