/** txn with every check and every operation, and its outcome as people and scripts see it. */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { expectFailure, kv, onTerminal, type Ran } from "./rig.ts";

const temporary = temporaryDirectory();
const path = join(temporary.path, "txn.json");
let server: ServerProcess;

beforeAll(async () => {
  server = await startServerProcess({ directory: join(temporary.path, "data") });
});

afterAll(async () => {
  await server.kill();
  temporary.remove();
});

beforeEach(async () => {
  await run("del", "--all");
  await run("put", "a", "text");
  await run("put", "n", "5");
});

function run(...argv: string[]): Promise<Ran> {
  return kv(argv, { url: server.url });
}

function txn(body: object | string, ...flags: string[]): Promise<Ran> {
  const input = typeof body === "string" ? body : JSON.stringify(body);
  return kv(["txn", "-", ...flags], { url: server.url, input });
}

describe("checks", () => {
  test.each([
    ["a value", { key: "a", value: "text" }, true],
    ["another value", { key: "a", value: "tex" }, false],
    ["bytes", { key: "a", base64: "dGV4dA==" }, true],
    ["a value of an absent key", { key: "zz", value: "" }, false],
    ["not a value", { key: "a", value: "x", not: true }, true],
    ["a version", { key: "a", version: 1 }, true],
    ["one of versions", { key: "a", version: [0, 2] }, false],
    ["an absence", { key: "zz", revision: 0 }, true],
    ["a presence", { key: "a", version: 0, not: true }, true],
    ["one of revisions", { key: "zz", revision: [0, 7] }, true],
  ])("%s", async (_, check, holds) => {
    const ran = await txn({ checks: [check], then: [{ op: "incr", key: "n" }] });
    expect(ran.exitCode).toBe(holds ? 0 : 4);
    expect(JSON.parse(ran.stdout).succeeded).toBe(holds);
    expect((await run("get", "n")).stdout).toBe(holds ? "6" : "5");
  });
});

const EVERYTHING = {
  checks: [{ key: "a", value: "text" }],
  then: [
    { op: "put", key: "p/1", value: "one", ttl: "1h" },
    { op: "put", key: "a", value: "new" },
    { op: "incr", key: "n", by: "-7" },
    { op: "touch", key: "n", ttl: "1d" },
    { op: "touch", key: "a", ttl: "none" },
    { op: "put", key: "p/2/x", base64: "/w==" },
    { op: "get", key: "p/1" },
    { op: "get", key: "zz" },
    { op: "get", key: "a", keys: true },
    { op: "list", prefix: "p/", delimiter: "/" },
    { op: "list", prefix: "", count: true },
    { op: "list", start: "a", end: "p", limit: 1 },
    { op: "deleteRange", prefix: "p/2/" },
    { op: "delete", key: "zz" },
    { op: "put", key: "tmp", value: "" },
    { op: "delete", key: "tmp" },
  ],
};

describe("the file", () => {
  test("is read from its path, and a transaction of it is one revision", async () => {
    const then = [
      { op: "put", key: "t/1", value: "one" },
      { op: "put", key: "t/2", base64: "/w==" },
    ];
    await Bun.write(path, JSON.stringify({ then }));
    const { stdout, stderr, exitCode } = await run("txn", path);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const { revision, results } = JSON.parse(stdout);
    expect(results).toMatchObject([{ revision }, { revision }]);
    expect((await run("get", "t/1")).stdout).toBe("one");
    expect((await run("get", "t/2")).bytes).toEqual(Uint8Array.of(255));
  });

  test("that is not there is named", async () => {
    expectFailure(await run("txn", "/nowhere.json"), 1, "cannot read /nowhere.json");
  });
});

describe("the outcome", () => {
  test("on a terminal is a row for each operation", async () => {
    await Bun.write(path, JSON.stringify(EVERYTHING));
    const { output, exitCode } = await onTerminal(["txn", path], { url: server.url });
    expect(exitCode).toBe(0);
    const revision = /succeeded at revision (\d+)\r\n$/.exec(output)![1];
    expect(output.split("\r\n").slice(0, -2)).toEqual([
      "OPERATION    KEY                       RESULT",
      "put          p/1                       created, expires in 1h",
      "put          a                         replaced",
      "incr         n                         -2",
      "touch        n                         expires in 1d",
      "touch        a                         never expires",
      "put          p/2/x                     undone by a later operation",
      'get          p/1                       "one", expires in 1h',
      "get          zz                        absent",
      `get          a                         revision ${revision}`,
      "list         all that begin with p/    1 key, 1 folder",
      '             p/1                       "one", expires in 1h',
      "             p/2/                      folder",
      "list         every key                 4 keys",
      "list         all from a on before p    1 key, there are more",
      '             a                         "new"',
      "deleteRange  all that begin with p/2/  1 key deleted",
      "delete       zz                        was absent",
      "put          tmp                       undone by a later operation",
      "delete       tmp                       deleted",
    ]);
  });

  test("piped is the answer, a result for each operation", async () => {
    const { stdout } = await txn(EVERYTHING);
    const { succeeded, results } = JSON.parse(stdout);
    expect(succeeded).toBe(true);
    expect(results.map(({ op }: { op: string }) => op)).toEqual(
      EVERYTHING.then.map(({ op }) => op),
    );
    expect(results[2]).toMatchObject({ op: "incr", value: "-2" });
    expect(results[9]).toMatchObject({ entries: [{ key: "p/1" }], folders: ["p/2/"] });
  });

  test("of failed checks is what else did, and exit code 4", async () => {
    const body = {
      checks: [{ key: "a", version: 9 }],
      then: [{ op: "delete", key: "a" }],
      else: [{ op: "get", key: "a" }],
    };
    const ran = await txn(body, "-o", "table");
    expect(ran).toMatchObject({
      exitCode: 4,
      stdout: 'OPERATION  KEY  RESULT\nget        a    "text"\n',
      stderr: "kv txn: checks[0] on a did not hold\n",
    });
  });

  test("escapes control characters of keys and values", async () => {
    const key = "\u001b[31m";
    const body = {
      then: [
        { op: "put", key, value: key },
        { op: "get", key },
        { op: "list", prefix: key },
      ],
    };
    const { stdout } = await txn(body, "-o", "table");
    expect(stdout).not.toContain("\u001b");
    expect(stdout).toContain(String.raw`get        \u001b[31m`);
  });
});

describe("an operation that fails undoes all of it, and is named", () => {
  const put = { op: "put", key: "new", value: "" };

  test.each([
    ["incr of a text", { op: "incr", key: "a" }, 4, "then[1]: the value of"],
    [
      "touch of an absent key",
      { op: "touch", key: "zz", ttl: "1s" },
      3,
      "then[1]: there is no key",
    ],
  ])("%s", async (_, operation, code, message) => {
    expectFailure(await txn({ then: [put, operation] }), code, message);
    expect((await run("get", "new")).exitCode).toBe(3);
  });

  test("also in else", async () => {
    const body = {
      checks: [{ key: "a", revision: 0 }],
      then: [put],
      else: [put, put, { op: "incr", key: "a" }],
    };
    expectFailure(await txn(body), 4, "operation 2 of what ran: the value of");
    expect((await run("get", "new")).exitCode).toBe(3);
  });
});

describe("what is no transaction is refused in one line", () => {
  test.each([
    ["", "is no JSON"],
    ["{", "is no JSON"],
    ['"\\ud800"', "must be an object"],
    [{ thn: [] }, 'did you mean "then"?'],
    [{ then: [{ op: "putt", key: "k" }] }, 'did you mean "put"?'],
    [{ then: [{ op: "put", key: "k" }] }, 'exactly one of "value" (text) and "base64" (bytes)'],
    [{ then: [{ op: "put", key: "", value: "" }] }, "then[0].key is empty"],
    [{ checks: [{ key: "k" }] }, "checks[0] needs exactly one of"],
    [{ then: [{ op: "incr", key: "n", by: 5 }] }, "then[0].by must be"],
    [{ then: [{ op: "incr", key: "n", by: "1.5" }] }, "then[0].by cannot be"],
    [{ then: [{ op: "touch", key: "n" }] }, 'lacks the field "ttl"'],
    [{ then: [{ op: "put", key: "n", value: "", ttl: "30" }] }, "then[0].ttl cannot be"],
    [{ then: [{ op: "deleteRange", prefix: "" }] }, "then[0]: the range is every key"],
    [{ then: [{ op: "deleterange", prefix: "a" }] }, 'did you mean "deleteRange"?'],
    [{ checks: [{ key: "a", revision: 1, version: 1 }] }, "checks[0] needs exactly one of"],
  ])("%j", async (body, message) => {
    expectFailure(await txn(body), 2, message);
  });
});
