/** No server, something else in its place, or no answer: exit code 6 and one line that says which. */

import { afterAll, describe, expect, test } from "bun:test";
import { expectFailure, kv } from "./rig.ts";

/** A command line of each client command that needs nothing else. */
const COMMANDS: readonly (readonly [name: string, argv: readonly string[]])[] = [
  ["get", ["get", "k"]],
  ["put", ["put", "k", "v"]],
  ["del", ["del", "k"]],
  ["ls", ["ls"]],
  ["watch", ["watch"]],
  ["incr", ["incr", "k"]],
  ["touch", ["touch", "k", "--ttl", "1s"]],
  ["history", ["history", "k"]],
  ["txn", ["txn", "-"]],
  ["compact", ["compact", "1"]],
  ["del --prefix", ["del", "--prefix", "p"]],
  ["status", ["status"]],
  ["bench", ["bench"]],
  ["health", ["health"]],
];

const INPUT = { input: "{}" };

/** health has only ready (0) and not ready (1). */
function code(name: string): number {
  return name === "health" ? 1 : 6;
}

const website = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  development: false,
  fetch: () => new Response("<h1>It works!</h1>", { headers: { "Content-Type": "text/html" } }),
});
const missing = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  development: false,
  fetch: () => new Response("no", { status: 404 }),
});
const silent = Bun.listen({ port: 0, hostname: "127.0.0.1", socket: { data() {} } });
const mail = Bun.listen({
  port: 0,
  hostname: "127.0.0.1",
  socket: { open: (socket) => void socket.write("220 mail ESMTP\r\n"), data() {} },
});
const hangingUp = Bun.listen({
  port: 0,
  hostname: "127.0.0.1",
  socket: { data: (socket) => void socket.terminate() },
});

afterAll(async () => {
  await Promise.all([website.stop(true), missing.stop(true)]);
  for (const listener of [silent, mail, hangingUp]) listener.stop(true);
});

describe.each(COMMANDS)("kv %s", (name, argv) => {
  test("no server there", async () => {
    const ran = await kv(argv, { ...INPUT, url: "http://127.0.0.1:1" });
    expectFailure(ran, code(name), "no server listens at http://127.0.0.1:1");
  });

  test("a host that does not exist", async () => {
    const ran = await kv(argv, { ...INPUT, url: "http://nowhere.invalid:5000" });
    expectFailure(ran, code(name), /nowhere\.invalid/);
  });

  test.each([
    ["a web site", () => website.port],
    ["a web site without such a page", () => missing.port],
    ["a mail server", () => mail.port],
  ])("%s instead of kv", async (_, port) => {
    const ran = await kv(argv, { ...INPUT, url: `:${port()}` });
    expectFailure(ran, code(name), "does not answer like kv");
  });

  test("a server that hangs up", async () => {
    const ran = await kv(argv, { ...INPUT, url: `:${hangingUp.port}` });
    expectFailure(ran, code(name), `127.0.0.1:${hangingUp.port}`);
  });

  test("a server that never answers, until the timeout", async () => {
    const ran = await kv([...argv, "--timeout", "200ms"], { ...INPUT, url: `:${silent.port}` });
    expectFailure(ran, code(name), "within 0.2 s");
    const writes = ["put", "del", "incr", "touch", "txn", "compact"].includes(name);
    expect(ran.stderr.includes("the write may have been applied")).toBe(writes);
  });
});
