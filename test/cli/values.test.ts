/** put, get and del: bytes in, the same bytes out, and the exit codes of everything that can come between. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { expectFailure, kv, shell, type Ran } from "./rig.ts";

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

/** Runs a command that must succeed in silence. */
async function quiet(...argv: string[]): Promise<void> {
  const { stdout, stderr, exitCode } = await run(...argv);
  expect({ stdout, stderr, exitCode }).toEqual({ stdout: "", stderr: "", exitCode: 0 });
}

const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => byte);

describe("values", () => {
  test.each([
    ["text", "hello"],
    ["nothing", ""],
    ["a negative number", "-5"],
    ["spaces and newlines", " a\n\tb \r\n"],
    ["control characters", "\u0001\u001b[31m\u007f"],
    ["characters of many bytes", "é💾\ufeff\ufffd"],
  ])("%s given as an argument comes back unchanged", async (_, value) => {
    await quiet("put", "v", value);
    const { bytes, stderr, exitCode } = await run("get", "v");
    expect(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)).toBe(value);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  });

  test("what begins with a dash is a value behind the double dash", async () => {
    for (const value of ["--draft", "-x", "--", "--help"]) {
      await quiet("put", "dash", "--", value);
      expect((await run("get", "dash")).stdout).toBe(value);
    }
  });

  test("any bytes go through stdin, through a file and back", async () => {
    const path = join(temporary.path, "all-bytes");
    await Bun.write(path, ALL_BYTES);
    const put = await kv(["put", "stdin", "-"], { url: server.url, input: ALL_BYTES });
    expect(put.exitCode).toBe(0);
    await quiet("put", "file", "--file", path);
    expect((await run("get", "stdin")).bytes).toEqual(ALL_BYTES);
    expect((await run("get", "file")).bytes).toEqual(ALL_BYTES);
  });

  test("a dash as the file is stdin", async () => {
    const put = await kv(["put", "dash-file", "--file", "-"], { url: server.url, input: "x" });
    expect(put.exitCode).toBe(0);
    expect((await run("get", "dash-file")).stdout).toBe("x");
  });

  test("an empty stdin is an empty value", async () => {
    await quiet("put", "empty", "-");
    expect((await run("get", "empty")).bytes).toHaveLength(0);
  });

  test("a value from a pipe that is written in pieces is whole", async () => {
    const line = "(printf one; sleep 0.05; printf two) | kv put pieces - && kv get pieces";
    expect((await shell(line, { url: server.url })).stdout).toBe("onetwo");
  });

  test("a value of the largest size goes in and out, one byte more is refused", async () => {
    const line =
      "head -c 16777216 /dev/zero | kv put big - && kv get big | cmp - <(head -c 16777216 /dev/zero)";
    expect(await shell(line, { url: server.url })).toMatchObject({ exitCode: 0, stderr: "" });
    const more = await shell("head -c 16777217 /dev/zero | kv put big -", { url: server.url });
    expectFailure(more, 8, "more than 16777216 bytes");
  });

  test("an endless stdin is refused and not read for ever", async () => {
    expectFailure(
      await shell("kv put k - < /dev/zero", { url: server.url }),
      8,
      "stdin has more than",
    );
  });

  test("files that cannot be read are named", async () => {
    expectFailure(await run("put", "k", "--file", "/nowhere/x"), 1, "there is no such file");
    expectFailure(await run("put", "k", "--file", temporary.path), 1, "it is a directory");
    expectFailure(await run("put", "k", "--file", ""), 1, 'cannot read ""');
    const closed = await shell("kv put k - <&-", { url: server.url });
    expect(closed.exitCode).not.toBe(139);
  });

  test("the content type is kept, and is told by the bytes when it is left out", async () => {
    await quiet("put", "typed", "{}", "--content-type", "application/json");
    expect((await run("get", "typed", "-o", "json")).stdout).toContain('"application/json"');
    await kv(["put", "bytes", "-"], { url: server.url, input: ALL_BYTES });
    expect((await run("get", "bytes", "-o", "json")).stdout).toContain(
      '"application/octet-stream"',
    );
    expectFailure(
      await run("put", "typed", "x", "--content-type", "é"),
      2,
      "the content type must be visible ASCII",
    );
  });
});

describe("keys", () => {
  test.each(["a b", "a/b", "é💾", "%2F", "?x=1#y", "\u0001\n", "__proto__", "-", "--help", "..."])(
    "%j is a key like any other",
    async (key) => {
      await quiet("put", "--", key, `value of ${key}`);
      expect((await run("get", "--", key)).stdout).toBe(`value of ${key}`);
      await quiet("del", "--", key);
      expect((await run("get", "--", key)).exitCode).toBe(3);
    },
  );
});

describe("answers", () => {
  test("an absent key is exit code 3, one line, and nothing on stdout", async () => {
    expectFailure(await run("get", "nowhere"), 3, "kv get: nowhere is absent\n");
    expectFailure(
      await run("get", "no\nwhere", "-o", "json"),
      3,
      String.raw`"no\nwhere" is absent`,
    );
  });

  test("-o json prints the answer of a put and the entry of a get", async () => {
    await run("del", "j");
    const put = JSON.parse((await run("put", "j", "1", "-o", "json")).stdout);
    const { revision } = put;
    expect(put).toEqual({ key: "j", revision, createRevision: revision, version: 1 });
    expect(JSON.parse((await run("get", "j", "-o", "json")).stdout)).toEqual({
      key: "j",
      value: "1",
      contentType: "text/plain; charset=utf-8",
      revision,
      createRevision: revision,
      version: 1,
    });
  });

  test("JSON carries bytes that are no text as base64, and escapes what a terminal would act on", async () => {
    await kv(["put", "b", "-"], { url: server.url, input: ALL_BYTES });
    const entry = JSON.parse((await run("get", "b", "-o", "json")).stdout);
    expect(Buffer.from(entry.base64, "base64")).toEqual(Buffer.from(ALL_BYTES));
    await run("put", "c", "\u001b[31m\u007f\u009b\u202e");
    const { stdout } = await run("get", "c", "-o", "json");
    expect(stdout).toContain(String.raw`"\u001b[31m\u007f\u009b\u202e"`);
    expect(JSON.parse(stdout).value).toBe("\u001b[31m\u007f\u009b\u202e");
  });
});

describe("conditions", () => {
  test("--if-absent creates once", async () => {
    await run("del", "lock");
    await quiet("put", "lock", "a", "--if-absent");
    expectFailure(await run("put", "lock", "b", "--if-absent"), 4, 'the key "lock" is at revision');
    expect((await run("get", "lock")).stdout).toBe("a");
  });

  test("--if-revision replaces what was seen and nothing else", async () => {
    const { revision } = JSON.parse((await run("put", "cas", "1", "-o", "json")).stdout);
    await quiet("put", "cas", "2", "--if-revision", String(revision));
    expectFailure(
      await run("put", "cas", "3", "--if-revision", String(revision)),
      4,
      "is at revision",
    );
    expectFailure(await run("put", "cas", "3", "--if-revision", "0"), 4, "is at revision");
    expect((await run("get", "cas")).stdout).toBe("2");
    expectFailure(await run("put", "new", "3", "--if-revision", "1"), 4, '"new" is absent');
  });

  test("a conditional delete leaves what was changed since", async () => {
    const { revision } = JSON.parse((await run("put", "dc", "1", "-o", "json")).stdout);
    await run("put", "dc", "2");
    expectFailure(await run("del", "dc", "--if-revision", String(revision)), 4, "is at revision");
    expect((await run("get", "dc")).stdout).toBe("2");
    expectFailure(await run("del", "gone", "--if-revision", "1"), 3, "gone is absent");
  });
});

describe("del", () => {
  test("several keys are deleted in order; absent ones are named, and the exit code is 3", async () => {
    await quiet("put", "d1", "x");
    await quiet("put", "d3", "x");
    const ran = await run("del", "d1", "d2", "d3", "d4");
    expect(ran).toMatchObject({
      exitCode: 3,
      stdout: "",
      stderr: "kv del: d2 is absent\nkv del: d4 is absent\n",
    });
    expect((await run("get", "d1")).exitCode).toBe(3);
    expect((await run("get", "d3")).exitCode).toBe(3);
  });

  test("-o json has a line for each key", async () => {
    await quiet("put", "d5", "x");
    const { stdout, exitCode } = await run("rm", "d5", "d6", "-o", "json");
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { key: "d5", deleted: 1 },
      { key: "d6", deleted: 0 },
    ]);
    expect(lines[1].revision).toBe(lines[0].revision);
    expect(exitCode).toBe(3);
  });

  test("a bad key among several is found before anything is deleted", async () => {
    await quiet("put", "d7", "x");
    expectFailure(await run("del", "d7", ""), 2, "the key is empty");
    expect((await run("get", "d7")).exitCode).toBe(0);
  });
});
