/** ls, status and health against a running server. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { kv, shell, start, type Ran } from "./rig.ts";

const temporary = temporaryDirectory();
let server: ServerProcess;

/** In the order of their bytes. */
const KEYS = ["Z", "a", "a b", "a/1", "a/2", "b\nc", "é", "\uffee", "💾"];

beforeAll(async () => {
  server = await startServerProcess({ directory: join(temporary.path, "data") });
  for (const key of KEYS.toReversed()) await run("put", "--", key, `value of ${key}`);
});

afterAll(async () => {
  await server.kill();
  temporary.remove();
});

function run(...argv: string[]): Promise<Ran> {
  return kv(argv, { url: server.url });
}

function lines(keys: readonly string[], end = "\n"): string {
  return keys.map((key) => key + end).join("");
}

describe("ls", () => {
  test("piped, it prints one key a line in the order of their bytes", async () => {
    expect(await run("ls")).toMatchObject({ stdout: lines(KEYS), stderr: "", exitCode: 0 });
    expect((await run("ls", "-o", "raw")).stdout).toBe(lines(KEYS));
  });

  test("a prefix, a start and an end choose keys", async () => {
    expect((await run("ls", "a")).stdout).toBe(lines(["a", "a b", "a/1", "a/2"]));
    expect((await run("ls", "a/")).stdout).toBe(lines(["a/1", "a/2"]));
    expect((await run("ls", "--start", "a/2", "--end", "é")).stdout).toBe(lines(["a/2", "b\nc"]));
    expect((await run("ls", "--start", "\uffee")).stdout).toBe(lines(["\uffee", "💾"]));
    expect((await run("ls", "")).stdout).toBe(lines(KEYS));
  });

  test("no match prints nothing and is no failure", async () => {
    expect(await run("ls", "nothing/")).toMatchObject({ stdout: "", stderr: "", exitCode: 0 });
    expect(await run("ls", "nothing/", "-o", "table")).toMatchObject({ stdout: "", exitCode: 0 });
  });

  test("--limit ends the listing", async () => {
    expect((await run("ls", "--limit", "3")).stdout).toBe(lines(KEYS.slice(0, 3)));
  });

  test("-0 ends each key with a NUL, so that newlines in keys do no harm", async () => {
    expect((await run("ls", "-0")).stdout).toBe(lines(KEYS, "\0"));
    const count = await shell("kv ls --null b | xargs -0 -n1 echo x | wc -l", { url: server.url });
    expect(count.stdout.trim()).toBe("2");
  });

  test("-o json has a line for each entry, with its value", async () => {
    const { stdout } = await run("ls", "-o", "json");
    const entries = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(entries.map(({ key, value }) => [key, value])).toEqual(
      KEYS.map((key) => [key, `value of ${key}`]),
    );
    expect(entries[0]).toMatchObject({ version: 1, contentType: "text/plain; charset=utf-8" });
  });

  test("-o table is aligned and escapes control characters", async () => {
    const { stdout } = await run("ls", "-o", "table", "--end", "c");
    const [title, ...rows] = stdout.trimEnd().split("\n");
    expect(title).toMatch(/^KEY +REVISION {2}VERSION {2}CONTENT TYPE$/);
    expect(rows.map((row) => row.slice(0, 5).trimEnd())).toEqual(
      ["Z", "a", "a b", "a/1", "a/2", String.raw`b\nc`].map((key) => key.slice(0, 5)),
    );
    expect(new Set(rows.map((row) => row.indexOf("text/plain"))).size).toBe(1);
  });

  test("a listing of more than one page is whole and in order", async () => {
    const puts = Array.from({ length: 2_500 }, (_, index) => {
      return { op: "put", key: `many/${String(index).padStart(5, "0")}`, value: "" };
    });
    const txn = await kv(["txn", "-"], { url: server.url, input: JSON.stringify({ then: puts }) });
    expect(txn).toMatchObject({ exitCode: 0, stderr: "" });
    const keys = puts.map(({ key }) => key);
    expect((await run("ls", "many/")).stdout).toBe(lines(keys));
    expect((await run("ls", "many/", "--limit", "1001")).stdout).toBe(lines(keys.slice(0, 1_001)));
  });
});

describe("status and health", () => {
  test("status tells a person what matters", async () => {
    const { stdout, exitCode } = await run("status");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^server {4}http:\/\/127\.0\.0\.1:\d+, kv \S+$/m);
    expect(stdout).toMatch(/^revision {2}\d+, readable from \d+$/m);
    expect(stdout).toMatch(/^engine {4}log, durability sync$/m);
  });

  test("status -o json is what the server answers", async () => {
    const { stdout } = await run("status", "-o", "json");
    const answer = (await (await fetch(`${server.url}/v1/status`)).json()) as object;
    expect(Object.keys(JSON.parse(stdout))).toEqual(Object.keys(answer));
    expect(JSON.parse(stdout).store).toBe((answer as { store: string }).store);
  });

  test("status --watchers shows what each watches, and where it stands", async () => {
    const watches = [
      ["a", "b\u001b", "--prefix", "c/", "--prefix", "d/"],
      ["--prefix", "b/", "--keys", "--prev"],
      ["--start", "m", "--latest"],
    ].map((argv) => start(["watch", ...argv], { url: server.url }));
    const stream = await fetch(`${server.url}/v1/watch`);
    const reading = stream.body!.getReader();
    await reading.read();
    let status: { revision: number; watchers: number; watching: object[] };
    do status = JSON.parse((await run("status", "--watchers", "-o", "json")).stdout);
    while (status.watchers < 4);
    const { stdout } = await run("status", "--watchers");
    const { stdout: whole } = await run("status");
    await Promise.all(watches.map((child) => child.kill("SIGINT")));
    await reading.cancel();
    expect(whole).not.toContain("TRANSPORT");
    const [lines, table] = stdout.split("\n\n");
    expect(lines).toContain("watchers  4");
    const [title, ...rows] = table!.trimEnd().split("\n");
    expect(title).toMatch(
      /^TRANSPORT {2}STATE {2}POSITION {2}LAG {3}UNSENT {2}OPTIONS {4}WATCHES$/,
    );
    const live = `live   ${String(status.revision).padStart(8)}    0  0 bytes`;
    expect(rows.toSorted()).toEqual(
      [
        `ndjson     ${live}             every key`,
        `ws         ${live}  latest     all from m on`,
        `ws         ${live}  prev,keys  all that begin with b/`,
        String.raw`ws         ${live}             a; "b\u001b"; all that begin with c/; and 1 other`,
      ].toSorted(),
    );
    expect(status.watching).toHaveLength(4);
    expect(status.watching).toContainEqual({
      filter: { start: "m", latest: true },
      transport: "ws",
      state: "live",
      position: expect.any(Number),
      lag: 0,
      unsentBytes: 0,
    });
  });

  test("status --watchers has no table where nobody watches", async () => {
    while (!(await run("status")).stdout.includes("watchers  0")) await Bun.sleep(5);
    const { stdout } = await run("status", "--watchers");
    expect(stdout).toEndWith("watchers  0\n");
  });

  test("health is silent and 0 when the server is ready", async () => {
    expect(await run("health")).toMatchObject({ stdout: "", stderr: "", exitCode: 0 });
  });

  test("KV_PORT alone finds a server on this machine", async () => {
    const environment = { KV_PORT: String(server.port) };
    expect((await kv(["health"], { environment })).exitCode).toBe(0);
    expect((await kv(["get", "a"], { environment })).stdout).toBe("value of a");
  });

  test("a server on this machine is reached past any proxy", async () => {
    const environment = { HTTP_PROXY: "http://127.0.0.1:1", http_proxy: "http://127.0.0.1:1" };
    const ran = await kv(["get", "a"], { url: server.url, environment });
    expect(ran).toMatchObject({ stdout: "value of a", exitCode: 0 });
  });

  test("the short forms of an address are understood", async () => {
    for (const url of [`:${server.port}`, `127.0.0.1:${server.port}`, `localhost:${server.port}`]) {
      expect((await kv(["get", "a", "--url", url])).stdout).toBe("value of a");
    }
  });
});
