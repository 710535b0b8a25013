/** The SDK where it must also run: behind proxy variables, and in Node.js out of one bundle. */

import { expect, test } from "bun:test";
import { join } from "node:path";
import { startServer } from "../../src/http/server.ts";
import { openModel } from "../support/model-store.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { startOddServer, unusedPort } from "./odd-server.ts";

/** Runs a process to its end; what it says on stderr is part of a failure. */
async function run(command: string[], environment: Record<string, string> = {}): Promise<string> {
  const child = Bun.spawn(command, {
    env: { ...process.env, ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return stdout + stderr;
}

test("a server on this machine is reached without the proxy of the environment", async () => {
  const server = startServer({ store: openModel(), host: "127.0.0.1", port: 0 });
  await using proxy = await startOddServer((socket) => socket.destroy());
  const variables = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"];
  const environment = {
    ...Object.fromEntries(variables.map((name) => [name, proxy.url])),
    NO_PROXY: "",
    no_proxy: "",
  };
  const script = join(import.meta.dir, "proxied.ts");
  const urls = [server.url, `localhost:${server.port}`];
  for (const [index, url] of urls.entries()) {
    const output = await run([process.execPath, script, url], environment);
    expect(output).toBe(`${2 * index + 2} 1\n`);
  }
  expect(proxy.requests).toEqual([]);
  await server.stop();
});

/** Uses every method; prints what came of it as one line of JSON. */
const NODE_SCRIPT = `
import { connect } from "./index.js";
const kv = connect(process.argv[2]);
const bytes = Uint8Array.from({ length: 300 }, (_, index) => index & 255);
await kv.put("a/text", "grüße");
await kv.put("a/bytes", bytes);
await kv.put("a/large", new Blob([new Uint8Array(100_000)], { type: "image/png" }));
const text = (await kv.get("a/text")).text();
const same = Buffer.from((await kv.get("a/bytes")).bytes).equals(Buffer.from(bytes));
const listed = [];
for await (const entry of kv.list({ prefix: "a/" })) listed.push([entry.key, entry.bytes.length]);
const { succeeded } = await kv.txn({ checks: [{ key: "a/text", revision: 0 }] });
const refused = await kv.put("a/text", "x", { ifAbsent: true }).catch((error) => error.code);
const { deleted } = await kv.delete("a/text");
const counter = await kv.incr("n/a", 2n ** 62n, { ttl: "1h" });
const touched = await kv.touch("n/a", "none", { ifPresent: true });
await kv.put("n/large", new Uint8Array(100_000), { ttl: 60_000, ifAbsent: true });
const expiring = (await kv.get("n/large")).expiresAt > Date.now();
const past = [];
for await (const { type, version } of kv.history("n/a")) past.push([type, version]);
const count = await kv.count({ prefix: "n/" });
const { folders } = await kv.page({}, { delimiter: "/", reverse: true });
const waiting = kv.wait("n/new", { timeoutMs: 5_000 });
await kv.put("n/new", "there");
const waited = (await waiting).text();
const late = await kv.wait("n/none", { timeoutMs: 20 }).catch((error) => error.name);
const range = await kv.deleteRange({ prefix: "n/" });
const { oldest } = await kv.compact(range.revision);
const numbers = [String(counter.value), touched.version, touched.expiresAt ?? null, count, range.deleted];
const model = { numbers, expiring, past, folders, waited, late, same: oldest === range.revision };
const watch = kv.watch({ prefix: "a/" }, { from: oldest + 1 });
await kv.put("a/new", "x");
const watched = await watch.next().then((next) => next.value.revision - oldest, (error) => error.code);
await kv.putMany([{ key: "m/1", value: "one" }, { key: "m/2", value: "two" }]);
const many = (await kv.getMany(["m/1", "m/2", "m/3"])).map((entry) => entry?.text() ?? null);
await kv.close();
const gone = [];
for (const port of [process.argv[3], "9"]) {
  await connect(":" + port).put("k", "v").catch((error) => gone.push(error.code));
}
const result = { model, text, same, listed, succeeded, refused, deleted, watched, many, gone };
console.log(JSON.stringify(result));
`;

test("the bundle for browsers runs in Node.js", async () => {
  using directory = temporaryDirectory();
  const built = await Bun.build({
    entrypoints: [join(import.meta.dir, "../../src/client/index.ts")],
    target: "browser",
    outdir: directory.path,
  });
  expect(built.success).toBe(true);
  const bundle = await Bun.file(join(directory.path, "index.js")).text();
  // Neither is there in a browser.
  expect(bundle).not.toMatch(/\b(Bun|Buffer|process|require)\b\s*[.(]|from "node:/);
  await Bun.write(join(directory.path, "package.json"), '{"type":"module"}');
  await Bun.write(join(directory.path, "main.js"), NODE_SCRIPT);
  const server = startServer({ store: openModel(), host: "127.0.0.1", port: 0 });
  const output = await run([
    "node",
    join(directory.path, "main.js"),
    server.url,
    `${await unusedPort()}`,
  ]);
  await server.stop();
  if (!output.startsWith("{")) throw new Error(output);
  expect(JSON.parse(output)).toEqual({
    model: {
      numbers: [String(2n ** 62n), 2, null, 2, 3],
      expiring: true,
      past: [
        ["put", 2],
        ["put", 1],
      ],
      folders: ["n/", "a/"],
      waited: "there",
      late: "TimeoutError",
      same: true,
    },
    text: "grüße",
    same: true,
    listed: [
      ["a/bytes", 300],
      ["a/large", 100_000],
      ["a/text", 6 + 1],
    ],
    succeeded: false,
    refused: "precondition_failed",
    deleted: 1,
    // Over a stream where Node.js has no WebSocket, which is before version 22.
    watched: 1,
    many: ["one", "two", null],
    // Nobody listens on the first, and the standard of fetch forbids the second.
    gone: ["unavailable", "unavailable"],
  });
});
