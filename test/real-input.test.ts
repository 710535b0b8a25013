/**
 * Real input, whole: every file under `node_modules` goes in with its path as its key, while a watcher
 * follows and the server is killed twice. What had been acknowledged is there, byte for byte.
 */

import { expect, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { executable } from "../scripts/build.ts";
import { connect, KvError, type KvClient, type KvPut, type KvWatch } from "../src/client/index.ts";
import { LIMITS } from "../src/limits.ts";
import { startServerProcess, type ServerProcess } from "./support/server-process.ts";
import { temporaryDirectory } from "./support/temporary.ts";

const CLIENTS = 8;
const KILLS = 2;
const SECONDS_MAX = 60;

test(
  "every file under node_modules survives two kills, byte for byte, and is seen once by a watcher",
  async () => {
    const files = readFiles("node_modules");
    const small = [...files].filter(([, bytes]) => bytes.length <= LIMITS.valueBytesMax);
    const large = [...files].filter(([, bytes]) => bytes.length > LIMITS.valueBytesMax);
    expect(small.length).toBeGreaterThan(1_000);
    console.log(`${small.length} files, and ${large.length} that are too large for a value`);

    using directory = temporaryDirectory();
    await using server = await KilledServer.start(directory.path);
    const clients = Array.from({ length: CLIENTS }, () => connect(server.url));
    using seen = new Watcher(server.url, files);
    await seen.started;

    const writers = new Writers(clients, server, small.length);
    await writers.putAll(small);
    expect(server.kills).toBe(KILLS);
    expect(writers.interrupted).toBeGreaterThanOrEqual(KILLS);
    const revisions = [...writers.acknowledged.values()].map(({ revision }) => revision);
    await seen.until(Math.max(...revisions));

    expect(seen.faults).toEqual([]);
    for (const [key, { revision }] of writers.acknowledged) {
      expect(seen.keys.get(revision)).toBe(key);
    }
    await readAllBack(clients, small);
    expect(await listedKeys(server.url)).toEqual(small.map(([key]) => key).sort(byBytes));
    for (const [key, bytes] of large) {
      expect(await clients[0]!.put(key, bytes).catch(codeOf)).toBe("too_large");
    }
  },
  SECONDS_MAX * 1_000,
);

// --- internal ---

/** A server on one port and one directory, which is killed and started again. */
class KilledServer implements AsyncDisposable {
  kills = 0;
  readonly url: string;
  /** The process that runs, or the one that is on its way up. */
  #running: Promise<ServerProcess>;
  readonly #directory: string;

  static async start(directory: string): Promise<KilledServer> {
    return new KilledServer(directory, await startServerProcess({ directory }));
  }

  private constructor(directory: string, first: ServerProcess) {
    this.#directory = directory;
    this.#running = Promise.resolve(first);
    this.url = first.url;
  }

  /** Resolves when a server is up. */
  async up(): Promise<void> {
    await this.#running;
  }

  /** Ends the process by SIGKILL, whatever it is doing, and starts the next one. */
  killAndRestart(): void {
    this.kills++;
    this.#running = this.#running.then(async (running) => {
      await running.kill("SIGKILL");
      return startServerProcess({ directory: this.#directory, port: running.port });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#running).kill();
  }
}

/** Clients that share a pile of files and put each until it is acknowledged. */
class Writers {
  /** The answer to each key's put. */
  readonly acknowledged = new Map<string, KvPut>();
  /** Puts that ended in an error: the outcome was not known, or no server was there. */
  interrupted = 0;
  readonly #clients: readonly KvClient[];
  readonly #server: KilledServer;
  readonly #total: number;

  constructor(clients: readonly KvClient[], server: KilledServer, total: number) {
    this.#clients = clients;
    this.#server = server;
    this.#total = total;
  }

  async putAll(files: readonly (readonly [string, Uint8Array])[]): Promise<void> {
    await inParallel(this.#clients, files, async (client, [key, bytes]) => {
      this.acknowledged.set(key, await this.#putOnce(client, key, bytes));
      // Both kills hit while the other clients wait for an answer.
      const due = ((this.#server.kills + 1) * this.#total) / (KILLS + 1);
      if (this.#server.kills < KILLS && this.acknowledged.size >= due)
        this.#server.killAndRestart();
    });
  }

  /** Puts until there is an answer: what the kill interrupted may or may not have been applied. */
  async #putOnce(client: KvClient, key: string, bytes: Uint8Array): Promise<KvPut> {
    for (;;) {
      try {
        return await client.put(key, bytes);
      } catch (error) {
        if (!["unavailable", "outcome_unknown"].includes(codeOf(error))) throw error;
        this.interrupted++;
        await this.#server.up();
      }
    }
  }
}

/** Follows everything from the first revision and notes what no watcher may ever see. */
class Watcher implements Disposable {
  /** The key of each revision that it saw. */
  readonly keys = new Map<number, string>();
  readonly faults: string[] = [];
  readonly started: Promise<unknown>;
  readonly #watch: KvWatch;
  readonly #files: ReadonlyMap<string, Uint8Array>;
  readonly #following: Promise<void>;
  #last = 0;
  #moved = Promise.withResolvers<void>();

  constructor(url: string, files: ReadonlyMap<string, Uint8Array>) {
    this.#files = files;
    this.#watch = connect(url).watch({}, { from: 1 });
    this.started = this.#watch.started;
    this.#following = this.#follow();
  }

  /** Resolves when it has seen `revision`, rejects when the watch ends before. */
  async until(revision: number): Promise<void> {
    const ended = this.#following.then(() => {
      if (this.#last < revision) throw new Error(`the watch ended at revision ${this.#last}`);
    });
    while (this.#last < revision) await Promise.race([this.#moved.promise, ended]);
  }

  [Symbol.dispose](): void {
    this.#watch.close();
  }

  async #follow(): Promise<void> {
    for await (const commit of this.#watch) {
      if (commit.revision <= this.#last) this.faults.push(`${commit.revision} after ${this.#last}`);
      this.#last = commit.revision;
      for (const event of commit.events) {
        this.keys.set(commit.revision, event.key);
        const bytes = this.#files.get(event.key);
        const same = event.type === "put" && bytes !== undefined && equal(event.bytes, bytes);
        if (!same) this.faults.push(`${event.type} of ${event.key} is not what was put`);
      }
      this.#moved.resolve();
      this.#moved = Promise.withResolvers();
    }
  }
}

async function readAllBack(
  clients: readonly KvClient[],
  files: readonly (readonly [string, Uint8Array])[],
): Promise<void> {
  const wrong: string[] = [];
  await inParallel(clients, files, async (client, [key, bytes]) => {
    const entry = await client.get(key);
    if (entry === undefined || !equal(entry.value, bytes)) wrong.push(key);
  });
  expect(wrong).toEqual([]);
}

/** What `kv ls` prints into a pipe. */
async function listedKeys(url: string): Promise<string[]> {
  const child = Bun.spawn([executable, "ls", "--url", url], { stdout: "pipe", stderr: "pipe" });
  const [text, complaint] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect(complaint).toBe("");
  expect(await child.exited).toBe(0);
  return text.trimEnd().split("\n");
}

/** Hands the items out to the clients, one at a time each. */
async function inParallel<T>(
  clients: readonly KvClient[],
  items: readonly T[],
  work: (client: KvClient, item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  await Promise.all(
    clients.map(async (client) => {
      for (const item of left) await work(client, item);
    }),
  );
}

/** The files below a folder of the project: path with slashes, and bytes. Links are not followed. */
function readFiles(folder: string): Map<string, Uint8Array> {
  const root = join(import.meta.dir, "..");
  const found = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
  const paths = found
    .filter((item) => item.isFile())
    .map((item) => join(item.parentPath, item.name));
  return new Map(paths.map((path) => [path.slice(root.length + 1), readFileSync(path)]));
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function codeOf(error: unknown): string {
  return error instanceof KvError ? error.code : String(error);
}
