/**
 * Runs what the README shows: the six lines of shell, the commands under HTTP, and the two programs, each
 * against the compiled executable on a port of its own.
 */

import { describe, expect, test } from "bun:test";
import { copyFileSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { executable } from "../../scripts/build.ts";
import {
  SOCKET_CONNECTIONS_MAX,
  SOCKET_IDLE_SECONDS,
  WATCH_STREAMS_MAX,
} from "../../src/limits.ts";
import { curlRequest } from "../support/curl.ts";
import { CLIENT_BYTES, inMib, SHARED_BYTES, sharedBytes } from "../support/memory-bounds.ts";
import { sendRaw } from "../support/raw-http.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const root = join(import.meta.dir, "../..");
const page = readFileSync(join(root, "README.md"), "utf8");

/** The blocks of one language, in order. */
function blocks(language: string): string[] {
  return [...page.matchAll(/^```(\w+)\n([^]*?)^```$/gm)]
    .filter(([, tag]) => tag === language)
    .map(([, , text]) => text!);
}

describe("the README", () => {
  test("begins with six lines of shell that work when pasted", async () => {
    const [build, ...lines] = blocks("sh")[0]!.trimEnd().split("\n");
    expect(lines).toHaveLength(5);
    expect(build).toContain(`npx -y ${manifest.packageManager} run build `);
    expect(manifest.scripts.build).toContain("bun install");

    using directory = temporaryDirectory();
    copyFileSync(executable, join(directory.path, "kv"));
    const port = freePort();
    const curl = lines.pop()!;
    await using shell = startShell(directory.path, port, lines);
    await shell.printed("hello");
    const put = await sendRaw(port, curlRequest(curl));
    expect(put?.status).toBe(200);
    await shell.printed('"good morning"');
    const [watched] = shell.output().match(/^\{.*"revision":1.*\}$/m) ?? [];
    expect(watched).toContain('"key":"greeting","value":"hello"');
  }, 20_000);

  test("states the bounds of memory that are, and their sum", () => {
    const [, section = ""] = /^## Memory$([^]*?)^## /m.exec(page) ?? [];
    const rows = [...section.matchAll(/^\| (.+?) +\| (.+?) +\|$/gm)].map(([, name, most]) => [
      name!.replace(/: .*/, ""),
      most!.replace(/, twice its answer$/, ""),
    ]);
    const stated = Object.fromEntries(rows) as Record<string, string>;
    for (const [name, bytes] of Object.entries({ ...SHARED_BYTES, ...CLIENT_BYTES })) {
      const most = bytes < 1024 ** 2 ? `${bytes / 1024} KiB` : inMib(bytes);
      expect([name, stated[name]]).toEqual([name, most]);
    }
    expect(stated["**sum**"]).toBe(`**${inMib(sharedBytes())}**`);
    const known = Object.keys(SHARED_BYTES).length + Object.keys(CLIENT_BYTES).length;
    // With the sum, the keys, and the head and the line of each of the two tables.
    expect(rows).toHaveLength(known + 2 + 4);
    for (const count of [SOCKET_CONNECTIONS_MAX, WATCH_STREAMS_MAX, SOCKET_IDLE_SECONDS]) {
      expect(section).toContain(count.toLocaleString("en"));
    }
  });

  test("shows answers of HTTP as they are", async () => {
    using directory = temporaryDirectory();
    await using server = await startServerProcess({ directory: directory.path });
    const exchanges = blocks("console").flatMap((block) => block.split(/^\$ /m).slice(1));
    expect(exchanges.length).toBeGreaterThan(7);
    for (const exchange of exchanges) {
      const [command, ...answer] = exchange.trimEnd().split("\n");
      const { body } = (await sendRaw(server.port, curlRequest(command!)))!;
      expect(body.trimEnd()).toBe(answer.join("\n"));
    }
  });

  test("has a WebSocket program that prints what was and what comes", async () => {
    using directory = temporaryDirectory();
    await using server = await startServerProcess({ directory: directory.path });
    await put(server, "jobs/1");
    await using program = startProgram(directory.path, server, blocks("js")[0]!);
    await program.printed("put jobs/1");
    await put(server, "jobs/2");
    await program.printed("put jobs/2");
  });

  test("has an SDK program that puts, gets and watches", async () => {
    using directory = temporaryDirectory();
    await using server = await startServerProcess({ directory: directory.path });
    await using program = startProgram(directory.path, server, blocks("ts")[0]!);
    await program.printed("new");
    await program.printed("1815 1906");
    // The watch begins at some moment after the get: puts go on until it has seen one.
    const seen = program.printed("put jobs/2").then(() => true);
    const another = (): Promise<boolean> => put(server, "jobs/2").then(() => false);
    while (!(await Promise.race([seen, another()])));
  });
});

// --- internal ---

interface Program extends AsyncDisposable {
  output(): string;
  /** Resolves when the text has been printed, rejects with all output when the program ends before. */
  printed(text: string): Promise<void>;
}

function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
}

async function put(server: ServerProcess, key: string): Promise<void> {
  await fetch(`${server.url}/v1/kv/${key}`, { method: "PUT", body: "new" });
}

/** The lines in one shell, which then waits for a byte and ends what they started. */
function startShell(directory: string, port: number, lines: readonly string[]): Program {
  const script = [...lines, "read -r end", "kill $(jobs -p)", "wait"].join("\n");
  return follow(["bash", "-c", script], directory, { KV_PORT: String(port) });
}

function startProgram(directory: string, server: ServerProcess, text: string): Program {
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  const sdk = JSON.stringify(join(root, manifest.exports["."].bun));
  const here = text.replaceAll("127.0.0.1:5000", new URL(server.url).host);
  writeFileSync(join(directory, "program.ts"), here.replace('from "kv"', `from ${sdk}`));
  return follow([process.execPath, "program.ts"], directory, {});
}

function follow(command: string[], cwd: string, environment: Record<string, string>): Program {
  const child = Bun.spawn(command, {
    cwd,
    env: { ...process.env, ...environment },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  let text = "";
  let grown = Promise.withResolvers<void>();
  const read = async (): Promise<void> => {
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      grown.resolve();
      grown = Promise.withResolvers<void>();
    }
  };
  let ended = false;
  const over = read().finally(() => {
    ended = true;
    grown.resolve();
  });
  return {
    output: () => text,
    async printed(wanted) {
      while (!text.includes(wanted)) {
        if (ended) throw new Error(`it ended without ${JSON.stringify(wanted)}:\n${text}`);
        await grown.promise;
      }
    },
    async [Symbol.asyncDispose]() {
      // A shell goes on and ends its jobs; a program is ended here.
      child.stdin.write("\n");
      await child.stdin.end();
      if (command[0] !== "bash") child.kill();
      await over;
      await child.exited;
    },
  };
}
