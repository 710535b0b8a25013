/** del of a range: which keys go, who is asked, and what is said when it ends in the middle. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { LIMITS } from "../../src/limits.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import {
  expectFailure,
  kv,
  openShellOnTerminal,
  openTerminal,
  shell,
  start,
  type Ran,
} from "./rig.ts";

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

async function keys(): Promise<string[]> {
  return (await run("ls")).stdout.split("\n").slice(0, -1);
}

/** Leaves these keys in the store and no others. */
async function only(...names: string[]): Promise<void> {
  await run("del", "--all", "--yes");
  const then = names.map((key) => ({ op: "put", key, value: "" }));
  await kv(["txn", "-"], { url: server.url, input: JSON.stringify({ then }) });
  expect(await keys()).toEqual(names);
}

/** Answers the question with what is typed; what stood there, and what is left. */
async function answered(typed: string, ...flags: string[]) {
  await only("q/1", "q/2", "r");
  const session = openTerminal(["del", "--prefix", "q/", ...flags], { url: server.url });
  await session.until("[y/N] ");
  session.type(typed);
  const exitCode = await session.exited;
  return { exitCode, output: session.output.replaceAll("\r\n", "\n"), left: await keys() };
}

/** Deletes ten thousand keys a step, without end; tells when a step has come, and fails the fourth. */
function endless() {
  let steps = 0;
  const third = Promise.withResolvers<void>();
  const status = { store: "s", revision: 1, limits: LIMITS };
  const listener = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    development: false,
    async fetch(request) {
      if (request.method === "GET") return Response.json(status);
      steps += 1;
      if (steps === 3) third.resolve();
      if (steps === 4) {
        const error = { code: "unavailable", message: "the store is closed" };
        return Response.json({ error }, { status: 503 });
      }
      if (steps === 3) await Bun.sleep(200);
      const results = [{ op: "deleteRange", deleted: LIMITS.commitEventsMax, more: true }];
      return Response.json({ succeeded: true, revision: steps, results });
    },
  });
  return {
    url: listener.url.origin,
    third: third.promise,
    [Symbol.asyncDispose]: () => listener.stop(true),
  };
}

describe("which keys go", () => {
  const ALL = ["a", "a/", "a/1", "a/2", "a0", "é", "💾"];

  test.each([
    [
      ["--prefix", "a/"],
      ["a", "a0", "é", "💾"],
    ],
    [
      ["--prefix", "💾"],
      ["a", "a/", "a/1", "a/2", "a0", "é"],
    ],
    [
      ["--start", "a/2"],
      ["a", "a/", "a/1"],
    ],
    [
      ["--end", "a/2"],
      ["a/2", "a0", "é", "💾"],
    ],
    [
      ["--start", "a/", "--end", "a0"],
      ["a", "a0", "é", "💾"],
    ],
    [["--start", "b", "--end", "a"], ALL],
    [["--all"], []],
  ])("%j", async (argv, left) => {
    await only(...ALL);
    expect(await run("del", ...argv)).toMatchObject({ stdout: "", stderr: "", exitCode: 0 });
    expect(await keys()).toEqual(left);
  });

  test("none is no failure, and -o json has the number", async () => {
    await only("a", "b1", "b2");
    const answer = JSON.parse((await run("rm", "--prefix", "b", "-o", "json")).stdout);
    expect(answer).toEqual({ deleted: 2, revision: expect.any(Number) });
    const none = await run("rm", "--prefix", "b", "-o", "json");
    expect(none.exitCode).toBe(0);
    expect(JSON.parse(none.stdout)).toEqual({ ...answer, deleted: 0 });
  });

  test("an empty prefix, as of a variable that is not set, deletes nothing", async () => {
    await only("a");
    const ran = await shell('kv del --prefix "$NOT_SET"', { url: server.url });
    expectFailure(ran, 2, "if they all are to go, say --all");
    expect(await keys()).toEqual(["a"]);
  });

  test("more keys than a commit holds go in steps of whole commits", async () => {
    await only("left");
    for (const part of [1, 2]) {
      const then = Array.from({ length: LIMITS.commitEventsMax - 1 }, (_, index) => {
        return { op: "put", key: `many/${part}/${index}`, value: "" };
      });
      await kv(["txn", "-"], { url: server.url, input: JSON.stringify({ then }) });
    }
    const watch = start(["watch", "-o", "frames"], { url: server.url });
    const status = async (): Promise<{ watchers: number }> =>
      (await (await fetch(`${server.url}/v1/status`)).json()) as { watchers: number };
    while ((await status()).watchers === 0) await Bun.sleep(5);
    const { stdout } = await run("del", "--prefix", "many/", "-o", "json");
    expect(JSON.parse(stdout)).toMatchObject({ deleted: 2 * (LIMITS.commitEventsMax - 1) });
    expect(await keys()).toEqual(["left"]);
    const frames = await watch.jsonLines(2);
    await watch.kill("SIGKILL");
    const sizes = frames.map(({ events }) => (events as unknown[]).length);
    expect(sizes).toEqual([LIMITS.commitEventsMax, LIMITS.commitEventsMax - 2]);
  });
});

describe("the question", () => {
  test.each(["y\n", "Y\n", "yes\n", " yes \n"])("%j is a yes", async (typed) => {
    const { exitCode, output, left } = await answered(typed);
    expect(exitCode).toBe(0);
    expect(output).toStartWith("delete 2 keys (all that begin with q/)? [y/N] ");
    expect(output).toMatch(/\ndeleted 2 keys at revision \d+\n$/);
    expect(left).toEqual(["r"]);
  });

  test.each(["n\n", "\n", "yep\n", "\u0004"])("%j is a no, and deletes nothing", async (typed) => {
    const { exitCode, output, left } = await answered(typed);
    expect(exitCode).toBe(1);
    expect(output).toEndWith("\nkv del: nothing was deleted\n");
    expect(left).toEqual(["q/1", "q/2", "r"]);
  });

  test("Ctrl-C is a no too, with exit code 130", async () => {
    const { exitCode, left } = await answered("\u0003");
    expect({ exitCode, left }).toEqual({ exitCode: 130, left: ["q/1", "q/2", "r"] });
  });

  test("--yes is not asked, nor is who would lose nothing", async () => {
    await only("q/1");
    const yes = openTerminal(["del", "--prefix", "q/", "-y"], { url: server.url });
    expect(await yes.exited).toBe(0);
    expect(yes.output).toMatch(/^deleted 1 key at revision \d+\r\n$/);
    const none = openTerminal(["del", "--prefix", "q/"], { url: server.url });
    expect(await none.exited).toBe(0);
    expect(none.output).toBe("there was no key to delete\r\n");
  });

  test("control characters of a prefix do not reach the terminal", async () => {
    await only("\u001b[2J1");
    const session = openTerminal(["del", "--prefix", "\u001b[2J"], { url: server.url });
    await session.until("[y/N] ");
    session.type("n\n");
    await session.exited;
    expect(session.output).toContain(String.raw`begin with "\u001b[2J")?`);
    expect(session.output).not.toContain("\u001b");
  });

  test("nobody can be asked where stderr is no terminal: that is a usage error", async () => {
    await only("q/1");
    const session = openShellOnTerminal("kv del --prefix q/ 2>&1 | cat; exit ${PIPESTATUS[0]}", {
      url: server.url,
    });
    expect(await session.exited).toBe(2);
    expect(session.output).toContain("say --yes");
    expect(await keys()).toEqual(["q/1"]);
  });

  test("keys that are named are not asked about", async () => {
    await only("q/1");
    const session = openTerminal(["del", "q/1"], { url: server.url });
    expect(await session.exited).toBe(0);
    expect(await keys()).toEqual([]);
  });
});

describe("an end in the middle", () => {
  test("by Ctrl-C lets the step in flight end, and says how many are gone", async () => {
    await using server = endless();
    const child = start(["del", "--prefix", "p"], { url: server.url });
    await server.third;
    expect(await child.kill("SIGINT")).toBe(130);
    expect(child.output).toEqual({
      stdout: "",
      stderr: "kv del: interrupted: 30,000 keys are gone; the others are still there\n",
    });
  });

  test("by a failure says how many are gone", async () => {
    await using server = endless();
    const ran = await kv(["del", "--all"], { url: server.url });
    expectFailure(ran, 6, "kv del: the store is closed; 30,000 keys are gone by then\n");
  });
});
