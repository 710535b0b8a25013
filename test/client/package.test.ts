/** The package as others use it: found by its name in Bun and in Node.js, and typed for TypeScript. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildClient } from "../../scripts/build-client.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";
import { testWithTool } from "../support/needs.ts";
import { changesBetween, put, write } from "../support/stores.ts";
import { startCuttingProxy } from "./odd-server.ts";
import { until } from "./until.ts";

const ROOT = join(import.meta.dir, "../..");

/** A project in which the package is installed. */
let project: TemporaryDirectory;
let store: ModelStore;
let server: RunningServer;

beforeAll(async () => {
  project = temporaryDirectory();
  const installed = join(project.path, "node_modules/kv");
  mkdirSync(installed, { recursive: true });
  await buildClient(join(installed, "dist"));
  cpSync(join(ROOT, "package.json"), join(installed, "package.json"));
  cpSync(join(ROOT, "src"), join(installed, "src"), { recursive: true });
  store = openModel();
  server = startServer({ store, host: "127.0.0.1", port: 0 });
});

afterAll(async () => {
  await server.stop();
  project.remove();
});

const PROGRAM = `
import { connect, KvError } from "kv";

const kv = connect(process.argv[2]);
const watch = kv.watch([{ prefix: "jobs/" }], { initial: true });
await watch.started;
await kv.put("jobs/1", "new", { ifAbsent: true });
const seen = [];
for await (const frame of watch) {
  seen.push(frame.type === "change" ? frame.events[0].text() : frame.type);
  if (frame.type === "change") break;
}
const refused = await kv.put("jobs/1", "x", { ifAbsent: true }).catch((error) => error);
await kv.delete("jobs/1");
await kv.close();
console.log(seen.join(" "), refused instanceof KvError, refused.code);
`;

for (const platform of ["bun", "node"]) {
  testWithTool(
    platform,
    `${platform} finds the package by its name, and watches with it`,
    async () => {
      const program = join(project.path, "program.js");
      writeFileSync(program, PROGRAM);
      writeFileSync(join(project.path, "package.json"), '{"type":"module"}');
      const command = platform === "bun" ? process.execPath : platform;
      expect(await run([command, program, server.url])).toBe("sync new true precondition_failed\n");
    },
  );
}

/** Prints the revision of each change, until it is that of the key `end`. */
const FOLLOWER = `
import { connect } from "kv";

const kv = connect(process.argv[2], { transport: process.argv[3] });
const watch = kv.watch({ prefix: "w/" });
console.log("from", (await watch.started).revision);
for await (const { revision, events } of watch) {
  console.log(revision);
  if (events.some(({ key }) => key === "w/end")) break;
}
await kv.close();
`;

for (const transport of ["websocket", "http"]) {
  testWithTool(
    "node",
    `in Node.js a watch over ${transport} goes on through losses`,
    async () => {
      const program = join(project.path, "follower.js");
      writeFileSync(program, FOLLOWER);
      writeFileSync(join(project.path, "package.json"), '{"type":"module"}');
      await using proxy = await startCuttingProxy(server.port);
      // Before version 22 there is a WebSocket only with the flag.
      const hasSocket = (await run(["node", "-p", "typeof WebSocket"])) === "function\n";
      const flags = hasSocket ? [] : ["--experimental-websocket"];
      const child = Bun.spawn(["node", ...flags, program, proxy.url, transport], {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "inherit",
      });
      let output = "";
      const lines = (): string[] => output.split("\n").slice(0, -1);
      const reading = (async () => {
        for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) output += text;
      })();
      await until(() => lines().length > 0);
      for (let round = 0; round < 5; round++) {
        for (let count = 0; count < 10; count++) {
          await write(store, put(`w/${count}`), put("other"));
        }
        await until(() => lines().at(-1) === String(store.status().revision));
        proxy.cut();
      }
      await write(store, put("w/end"));
      await reading;
      expect(await child.exited).toBe(0);
      const [start, ...seen] = lines();
      const above = Number(start!.split(" ")[1]);
      const { revision } = store.status();
      const expected = await changesBetween(store, above + 1, revision, {
        range: { prefix: "w/" },
      });
      expect(seen).toEqual(expected.map((commit) => String(commit.revision)));
    },
    20_000,
  );
}

const TYPED = `
import { connect, type KvChange, type KvFrame, type KvWatch } from "kv";

const kv = connect("http://127.0.0.1:5000", { transport: "http" });
for await (const { revision, events } of kv.watch({ prefix: "a/" }, { from: 5, prev: true })) {
  const [event] = events;
  if (event?.type === "put") event.text().concat(\`\${revision}\`, event.prev?.text() ?? "");
  // @ts-expect-error: what was removed has no value.
  if (event?.type === "delete") event.text();
}
const frames: KvWatch<KvFrame> = kv.watch([{ key: "a" }, { prefix: "b/" }], { initial: true });
for await (const frame of frames) {
  if (frame.type === "state") frame.entries.map(({ key }) => key);
  else if (frame.type === "change") frame.skipped?.toFixed();
  else frame.store.concat(frame.revision.toFixed());
  // @ts-expect-error: a state has no events.
  if (frame.type === "state") frame.events;
}
const plain: KvChange = (await kv.watch().next()).value!;
// @ts-expect-error: there are no states unless they were asked for.
if (plain.type === "state") plain.type;
// @ts-expect-error: a range is one thing.
kv.watch({ key: "a", prefix: "b" });
await kv.put("k", "v", { ifRevision: plain.revision, retry: false });
await using closed = kv;
closed.url satisfies string;
`;

test("TypeScript takes its declarations, with the libraries of a browser and no others", async () => {
  writeFileSync(join(project.path, "typed.ts"), TYPED);
  const compilerOptions = {
    module: "nodenext",
    target: "es2022",
    lib: ["es2022", "dom"],
    strict: true,
    noEmit: true,
    types: [],
  };
  const json = JSON.stringify({ compilerOptions, files: ["typed.ts"] });
  writeFileSync(join(project.path, "tsconfig.json"), json);
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  expect(await run([process.execPath, compiler, "--project", project.path])).toBe("");
}, 20_000);

/** What a process says until its end, on stdout and stderr. */
async function run(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return stdout + stderr;
}
