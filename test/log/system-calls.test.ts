/**
 * The order in which the executable asks the system for writes, syncs and renames: what a disk in
 * memory cannot show. A power cut at any point must find either the old state or the new one.
 */

import { afterAll, describe, expect } from "bun:test";
import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { executable } from "../../scripts/build.ts";
import { testWithTool } from "../support/needs.ts";
import { temporaryDirectory } from "../support/temporary.ts";

/** One call: what was done to which file of the data directory (`.` = the directory itself). */
interface Call {
  readonly name: "write" | "sync" | "rename";
  readonly file: string;
}

const temporary = temporaryDirectory();
const data = join(realpathSync(temporary.path), "data");
/** The calls of one run, which all tests look at. */
let run: Promise<Call[]> | undefined;

function tracedCalls(): Promise<Call[]> {
  run ??= traceOnePut();
  return run;
}

afterAll(() => temporary.remove());

describe("the executable", () => {
  testWithTool("strace", "syncs a file before its rename, and the directory after it", async () => {
    const calls = await tracedCalls();
    const renames = calls.flatMap(({ name }, at) => (name === "rename" ? [at] : []));
    const files = renames.map((at) => calls[at]!.file);
    expect(files).toEqual(["0000000001.log", "DURABLE"]);
    for (const at of renames) {
      const { file } = calls[at]!;
      expect(calls[at - 1]).toEqual({ name: "sync", file: `${file}.tmp` });
      expect(calls[at + 1]).toEqual({ name: "sync", file: "." });
    }
  });

  testWithTool("strace", "syncs a new data directory into its parent", async () => {
    const [first] = await tracedCalls();
    expect(first).toEqual({ name: "sync", file: ".." });
  });

  testWithTool("strace", "answers a put after the write, the sync and the mark", async () => {
    const calls = await tracedCalls();
    const first = calls.findIndex(({ name, file }) => name === "write" && file.endsWith(".log"));
    expect(calls.slice(first, first + 3)).toEqual([
      { name: "write", file: "0000000001.log" },
      { name: "sync", file: "0000000001.log" },
      { name: "write", file: "DURABLE" },
    ]);
  });
});

// --- internal ---

/** The calls of a server from its first start up to the answer of its first put. */
async function traceOnePut(): Promise<Call[]> {
  const trace = join(temporary.path, "trace");
  const kinds = "trace=fsync,fdatasync,rename,renameat,renameat2,pwrite64";
  const child = Bun.spawn(
    ["strace", "-fqq", "-y", "-o", trace, "-e", kinds, executable, "serve"].concat([
      "--port=0",
      `--data=${data}`,
    ]),
    { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  );
  try {
    const url = await startLine(child.stderr);
    const answer = await fetch(`${url}/v1/kv/a`, { method: "PUT", body: "1" });
    expect(answer.status).toBe(201);
    // What is in the file by now was done before the answer.
    return readFileSync(trace, "latin1").split("\n").flatMap(parseCall);
  } finally {
    // strace keeps signals from itself while it traces: its lines begin with the server's own id.
    const pid = /^\d+/.exec(readFileSync(trace, "latin1"))?.[0];
    if (pid === undefined) child.kill("SIGKILL");
    else process.kill(Number(pid), "SIGTERM");
    await child.exited;
  }
}

async function startLine(stderr: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = "";
  for await (const part of stderr.pipeThrough(new TextDecoderStream())) {
    text += part;
    const url = /(http:\S+:\d+).*\n/.exec(text)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`the server ended:\n${text}`);
}

/** A line of the trace: `123 fsync(6</tmp/x/data>) = 0`. Calls that end in another line count there. */
function parseCall(line: string): Call[] {
  const rename = /^\d+ +rename\w*\(.*"([^"]+)"(?:, 0)?\) += 0$/.exec(line);
  if (rename !== null) return [{ name: "rename", file: nameOf(rename[1]!) }];
  const call = /^\d+ +(fsync|fdatasync|pwrite64)\(\d+<([^>]+)>/.exec(line);
  if (call === null) return [];
  return [{ name: call[1] === "pwrite64" ? "write" : "sync", file: nameOf(call[2]!) }];
}

/** The name in the data directory, `.` for itself and `..` for its parent. */
function nameOf(path: string): string {
  if (path === data) return ".";
  return path === join(data, "..") ? ".." : path.slice(data.length + 1);
}
