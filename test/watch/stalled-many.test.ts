/**
 * Hundreds of readers that take nothing, over both transports and with every kind of watch, under
 * writes: what they cost the server, and how each goes on.
 */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { JsonChanged, JsonStatus } from "../../src/json.ts";
import type { Commit } from "../../src/kv.ts";
import { FRAME_BYTES_MAX, TOPIC_CHECK_BYTES, WATCHER_UNSENT_BYTES_MAX } from "../../src/limits.ts";
import type { WatcherDescription } from "../../src/watch/watcher-description.ts";
import { checkWatchers } from "../guarantees/checker.ts";
import type { WatchBegin, WatchFilter } from "../guarantees/record.ts";
import { Truth } from "../guarantees/truth.ts";
import { openWire, type Wire } from "../guarantees/wires.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { bytes, TEXT } from "../support/stores.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { Recording } from "./simulated-readers.ts";

const READERS = 200;
const VALUE_BYTES = 60_000;
const MIB = 1024 * 1024;
/** What the documents promise of a reader with one watch. */
const READER_BYTES_MAX = 2 * MIB;

const PLAIN: WatchFilter = { ranges: {}, prev: false, keys: false, latest: false };
/** What the readers ask for, in turns. */
const KINDS: readonly { filter: WatchFilter; begin: WatchBegin }[] = [
  { filter: PLAIN, begin: {} },
  { filter: { ...PLAIN, ranges: { prefix: "k" } }, begin: { initial: true } },
  { filter: { ...PLAIN, latest: true }, begin: {} },
  { filter: { ...PLAIN, ranges: [{ prefix: "k" }, { key: "x" }] }, begin: {} },
];

class Reader {
  readonly recording: Recording;
  readonly #wire: Wire;
  #moved = Promise.withResolvers<void>();

  constructor(wire: Wire, recording: Recording) {
    this.#wire = wire;
    this.recording = recording;
  }

  static async open(url: string, transport: "ws" | "sse", kind: number): Promise<Reader> {
    const { filter, begin } = KINDS[kind % KINDS.length]!;
    const reader = new Reader(
      await openWire(transport, url),
      new Recording(transport, filter, begin, 0),
    );
    reader.#wire.watch(filter, begin, {
      arrive: (frame, id) => {
        reader.recording.take(frame, id);
        reader.#moved.resolve();
      },
      refuse: (error) => expect(error).toBeUndefined(),
    });
    await reader.until(() => reader.recording.arrivals.length > 0);
    return reader;
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      this.#moved = Promise.withResolvers();
      await this.#moved.promise;
    }
  }

  pause(): void {
    this.#wire.pause();
  }

  /** Reads until it has been told of everything up to a revision, or that there is no more. */
  async goOn(revision: number): Promise<void> {
    this.#wire.resume();
    const { recording } = this;
    await this.until(() => recording.through >= revision || recording.ended !== undefined);
  }

  close(): void {
    this.#wire.cut();
  }
}

/** The server with what is known of it. */
class Server {
  readonly #process: ServerProcess;
  readonly truth: Truth;
  readonly #commits: Commit[] = [];

  constructor(process: ServerProcess, store: string) {
    this.#process = process;
    this.truth = new Truth(store);
  }

  /** Writes `count` values, a few at the same time. */
  async write(count: number, valueBytes: number): Promise<void> {
    let left = count;
    const writer = async (name: string): Promise<void> => {
      while (left-- > 0) await this.#put(`k${name}`, name.repeat(valueBytes));
    };
    await Promise.all(["1", "2", "3", "4"].map(writer));
    const commits = this.#commits.splice(0).toSorted((a, b) => a.revision - b.revision);
    this.truth.add(commits, commits.at(-1)!.revision);
  }

  async #put(key: string, value: string): Promise<void> {
    const url = `${this.#process.url}/v1/kv/${key}`;
    const response = await fetch(url, { method: "PUT", body: value });
    const { revision, createRevision, version } = (await response.json()) as JsonChanged;
    const entry = { key, value: bytes(value), contentType: TEXT, revision };
    const event = { type: "put" as const, ...entry, createRevision, version };
    this.#commits.push({ revision, events: [event] });
  }

  async compact(revision: number): Promise<void> {
    const compaction = { revision, sent: performance.now() };
    this.truth.compactions.push(compaction);
    const url = `${this.#process.url}/v1/compact?revision=${revision}`;
    expect((await fetch(url, { method: "POST" })).status).toBe(200);
    Object.assign(compaction, { answered: performance.now() });
  }

  async watchers(): Promise<readonly WatcherDescription[]> {
    const response = await fetch(`${this.#process.url}/v1/status?watchers`);
    const status = (await response.json()) as JsonStatus & { watching: WatcherDescription[] };
    return status.watching;
  }

  memoryBytes(): number {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1024;
  }

  /** Milliseconds of the processor that some small writes take, of which every reader is told. */
  async costOfWrites(): Promise<number> {
    const before = this.#cpuMs();
    await this.write(500, 10);
    return this.#cpuMs() - before;
  }

  #cpuMs(): number {
    const fields = readFileSync(`/proc/${this.#process.pid}/stat`, "utf8").split(") ")[1]!;
    const [user, system] = fields.split(" ").slice(11, 13).map(Number);
    // Ticks of 10 ms.
    return (user! + system!) * 10;
  }
}

test("400 readers that stall cost what the documents say, disturb nobody, and all go on", async () => {
  using directory = temporaryDirectory();
  await using child = await startServerProcess({ directory: directory.path });
  const status = (await (await fetch(`${child.url}/v1/status`)).json()) as JsonStatus;
  const server = new Server(child, status.store);
  const healthy = [await Reader.open(child.url, "ws", 0), await Reader.open(child.url, "sse", 0)];
  await server.write(200, VALUE_BYTES);
  const cost = await server.costOfWrites();
  const memory = server.memoryBytes();

  const stalled: Reader[] = [];
  for (let count = 0; count < READERS; count++) {
    for (const transport of ["ws", "sse"] as const) {
      const reader = await Reader.open(child.url, transport, count);
      reader.pause();
      stalled.push(reader);
    }
  }
  // The system itself keeps some MiB for each of them.
  const stalls = async () => (await server.watchers()).filter(({ state }) => state === "stalled");
  const ceiling = memory + stalled.length * READER_BYTES_MAX;
  while ((await stalls()).length < stalled.length) {
    await server.write(20, VALUE_BYTES);
    expect(server.memoryBytes()).toBeLessThan(ceiling);
  }
  for (const { unsentBytes, lag } of await stalls()) {
    expect(unsentBytes).toBeLessThan(
      WATCHER_UNSENT_BYTES_MAX + TOPIC_CHECK_BYTES + FRAME_BYTES_MAX,
    );
    expect(lag).toBeGreaterThanOrEqual(0);
  }
  // As much again costs nothing more.
  await server.write(100, VALUE_BYTES);
  expect(server.memoryBytes()).toBeLessThan(ceiling);
  const costBeside = await server.costOfWrites();
  expect(costBeside).toBeLessThan(cost * 2 + 200);

  // Some read again while writes go on; the others find their history forgotten.
  const first = stalled.slice(0, 16);
  const last = stalled.slice(-16);
  const reading = Promise.all(first.map((reader) => reader.goOn(server.truth.through)));
  await server.write(20, 100);
  await reading;
  await server.compact(server.truth.through);
  await Promise.all(last.map((reader) => reader.goOn(server.truth.through)));
  await server.write(4, 100);
  const { through } = server.truth;
  const everybody = [...healthy, ...first, ...last];
  await Promise.all(everybody.map((reader) => reader.goOn(through)));
  const records = everybody.map(({ recording }, at) => recording.record(`reader ${at}`, through));
  expect(checkWatchers(records, server.truth, { silenceMsMax: 60_000 })).toEqual([]);
  for (const { recording } of last) {
    const kinds = new Set(recording.arrivals.map(({ frame }) => frame.type));
    expect(kinds.has(recording.begin.initial === true ? "reset" : "end")).toBe(true);
  }
  for (const { recording } of healthy) {
    const frames = recording.arrivals.filter(({ frame }) => frame.type === "change");
    expect(frames.length).toBe(server.truth.commits.length);
  }
  for (const reader of [...healthy, ...stalled]) reader.close();
}, 120_000);
