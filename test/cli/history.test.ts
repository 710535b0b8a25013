/** history and compact, and reading what was: get and ls at a revision. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";
import { expectFailure, kv, onTerminal, shell, type Ran } from "./rig.ts";

let temporary: TemporaryDirectory;
let server: ServerProcess;

/** Revisions 1 to 5: a put, another key, a put, a deletion, a put. */
beforeEach(async () => {
  temporary = temporaryDirectory();
  server = await startServerProcess({ directory: join(temporary.path, "data") });
  await run("put", "k", "one");
  await run("put", "other", "x");
  await run("put", "k", "two");
  await run("del", "k");
  await run("put", "k", "three");
});

afterEach(async () => {
  await server.kill();
  temporary.remove();
});

function run(...argv: string[]): Promise<Ran> {
  return kv(argv, { url: server.url });
}

async function jsonLines(...argv: string[]): Promise<Record<string, unknown>[]> {
  const { stdout, exitCode } = await run(...argv, "-o", "json");
  expect(exitCode).toBe(0);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

describe("history", () => {
  test("piped, it is a revision a line, the newest first", async () => {
    expect(await run("history", "k")).toMatchObject({
      stdout: "5\n4\n3\n1\n",
      stderr: "",
      exitCode: 0,
    });
    expect((await run("history", "other", "-o", "raw")).stdout).toBe("2\n");
  });

  test("its revisions are what get --revision takes", async () => {
    const line =
      "for n in $(kv history k); do kv get k --revision $n 2> /dev/null || echo -n gone; echo; done";
    expect((await shell(line, { url: server.url })).stdout).toBe("three\ngone\ntwo\none\n");
  });

  test("-o json has each change as it was, without the value when asked", async () => {
    const contentType = "text/plain; charset=utf-8";
    expect(await jsonLines("history", "k", "--limit", "3")).toEqual([
      {
        type: "put",
        key: "k",
        value: "three",
        contentType,
        revision: 5,
        createRevision: 5,
        version: 1,
      },
      { type: "delete", key: "k", revision: 4 },
      {
        type: "put",
        key: "k",
        value: "two",
        contentType,
        revision: 3,
        createRevision: 1,
        version: 2,
      },
    ]);
    const [newest] = await jsonLines("history", "k", "--keys", "--limit", "1");
    expect(newest).toEqual({
      type: "put",
      key: "k",
      contentType,
      revision: 5,
      createRevision: 5,
      version: 1,
    });
  });

  test("--limit and --before choose a part", async () => {
    expect((await run("history", "k", "--limit", "2")).stdout).toBe("5\n4\n");
    expect((await run("history", "k", "--before", "4")).stdout).toBe("3\n1\n");
    expect((await run("history", "k", "--before", "4", "--limit", "1")).stdout).toBe("3\n");
  });

  test("on a terminal it is a table, in which control characters are escaped", async () => {
    await run("put", "k", "\u001b[31m");
    const { output } = await onTerminal(["history", "k"], { url: server.url });
    expect(output.replaceAll("\r\n", "\n").split("\n")).toEqual([
      "REVISION  CHANGE  VERSION  CONTENT TYPE               VALUE",
      String.raw`       6  put           2  text/plain; charset=utf-8  "\u001b[31m"`,
      '       5  put           1  text/plain; charset=utf-8  "three"',
      "       4  delete",
      '       3  put           2  text/plain; charset=utf-8  "two"',
      '       1  put           1  text/plain; charset=utf-8  "one"',
      "",
    ]);
  });

  test("an expiry stands there as one, and deadlines as times", async () => {
    await run("put", "short", "x", "--ttl", "50ms");
    expect((await run("wait", "short", "--absent", "--timeout", "10s")).exitCode).toBe(0);
    const { stdout } = await run("history", "short", "-o", "table");
    expect(stdout).toMatch(/^REVISION {2}CHANGE {2}VERSION {2}EXPIRES AT +CONTENT TYPE +VALUE\n/);
    expect(stdout).toMatch(/^ +7 {2}expire\n +6 {2}put +1 {2}\d{4}-\d\d-\d\dT[\d:.]+Z {2}text/m);
  });

  test("a key without any is exit code 3", async () => {
    expectFailure(await run("history", "nowhere"), 3, "kv history: nowhere has no change\n");
    expectFailure(
      await run("history", "k", "--before", "1"),
      3,
      "k has no change before revision 1",
    );
  });

  test("a history of more than one page is whole", async () => {
    const url = `${server.url}/v1/incr/n`;
    await Promise.all(Array.from({ length: 1_050 }, () => fetch(url, { method: "POST" })));
    const revisions = Array.from({ length: 1_050 }, (_, index) => 1_055 - index);
    expect((await run("history", "n")).stdout).toBe(revisions.map((n) => `${n}\n`).join(""));
    const some = await run("history", "n", "--limit", "1001", "--before", "1050");
    expect(some.stdout.trimEnd().split("\n")).toHaveLength(1_001);
  });
});

describe("get and ls at a revision", () => {
  test("get prints what the value was", async () => {
    for (const [revision, value] of [
      ["1", "one"],
      ["2", "one"],
      ["3", "two"],
      ["5", "three"],
    ]) {
      expect((await run("get", "k", "--revision", revision!)).stdout).toBe(value!);
    }
    expectFailure(await run("get", "k", "--revision", "4"), 3, "k was absent at revision 4");
    expectFailure(await run("get", "k", "--revision", "6"), 2, "the store is at revision 5");
  });

  test("ls lists what was there", async () => {
    expect((await run("ls", "--revision", "1")).stdout).toBe("k\n");
    expect((await run("ls", "--revision", "4")).stdout).toBe("other\n");
    expect((await run("ls", "--revision", "4", "--count")).stdout).toBe("1\n");
    const [entry] = await jsonLines("ls", "k", "--revision", "3");
    expect(entry).toMatchObject({ value: "two", revision: 3 });
  });
});

describe("compact", () => {
  test("it forgets what was before, and prints nothing", async () => {
    expect(await run("compact", "3")).toMatchObject({ stdout: "", stderr: "", exitCode: 0 });
    expectFailure(await run("get", "k", "--revision", "2"), 7, "compacted");
    expectFailure(await run("ls", "--revision", "2"), 7, "compacted");
    expect((await run("get", "k", "--revision", "3")).stdout).toBe("two");
    expect((await run("history", "k")).stdout).toBe("5\n4\n3\n");
    expectFailure(await run("history", "k", "--before", "3"), 7, "compacted");
    expect((await run("get", "k")).stdout).toBe("three");
  });

  test("-o json and a person are told what can be read", async () => {
    expect((await run("compact", "2", "-o", "json")).stdout).toBe('{"oldest":2}\n');
    const { output } = await onTerminal(["compact", "3"], { url: server.url });
    expect(output).toStartWith("compacted: revisions from 3 on can be read");
  });

  test("the same again is done, a lower one is exit code 7, one beyond the store 2", async () => {
    await run("compact", "4");
    expect((await run("compact", "4")).exitCode).toBe(0);
    expectFailure(await run("compact", "3"), 7, "compacted");
    expectFailure(await run("compact", "6"), 2, "the store is at revision 5");
  });
});
