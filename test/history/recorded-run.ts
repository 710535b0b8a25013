/**
 * Clients at random against a real server in a process of its own, half of them over HTTP and half
 * over WebSocket: recorded, and held to be strictly serialisable by both checkers. The server may
 * be killed in between.
 */

import { join } from "node:path";
import { PATHS } from "../../src/protocol.ts";
import { random } from "../support/random.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { httpClient, Recorder, socketClient, type Run, type Target } from "./clients.ts";
import type { Asked, History, Operation, Violation } from "./history.ts";
import { HttpConnection } from "./http-connection.ts";
import { fromHttp, toHttp } from "./http-wire.ts";
import { checkLinearizability } from "./linearizability.ts";
import { checkRevisionOrder } from "./revision-order.ts";
import { WatchRecorder } from "./watch-recorder.ts";
import { Workload } from "./workload.ts";

export interface RunOptions {
  /** The same seed lets every client make the same choices again. */
  readonly seed: number;
  readonly operations: number;
  /** Half of them over HTTP, half over WebSocket. */
  readonly clients?: number;
  /** Requests under way together on each WebSocket. */
  readonly lanes?: number;
  /** How often the server is killed. */
  readonly kills?: number;
  /** Which is not stopped here; a process on an empty directory when left out. */
  readonly server?: RunServer;
}

/** A server that may be another process after each restart. */
export interface RunServer extends Target {
  /** When each process so far was over. */
  readonly ends: readonly number[];
  /** Kills it in the middle of whatever it does. */
  restart(): Promise<void>;
}

export interface RunReport {
  readonly history: History;
  readonly violations: readonly Violation[];
  readonly runMs: number;
  readonly checkMs: number;
}

/** Runs and checks; the report's violations are empty when all went well. */
export async function recordedRun(options: RunOptions): Promise<RunReport> {
  const began = performance.now();
  const history = await record(options);
  const recorded = performance.now();
  const violations = [...checkRevisionOrder(history), ...checkLinearizability(history)];
  return {
    history,
    violations,
    runMs: recorded - began,
    checkMs: performance.now() - recorded,
  };
}

// --- internal ---

/** Operations between two compactions, and commits that each leaves readable. */
const COMPACT_EVERY = 500;
const READABLE_COMMITS = 400;

async function record(options: RunOptions): Promise<History> {
  const { server } = options;
  if (server !== undefined) return recordOn(server, options);
  using directory = temporaryDirectory();
  await using own = new ProcessServer(join(directory.path, "data"));
  await own.start();
  return await recordOn(own, options);
}

async function recordOn(server: RunServer, options: RunOptions): Promise<History> {
  const { seed, clients = 8, lanes = 8, kills = 0 } = options;
  const epoch = Date.now() - performance.now();
  const recorder = new Recorder();
  const run = new Running(server, recorder, options);
  await using watch = new WatchRecorder(server);
  await Promise.all(
    Array.from({ length: clients }, (_, at) => {
      const name = `c${at}`;
      const workload = new Workload(random(seed + 2 * at), name);
      const client = { name, workload, random: random(seed + 2 * at + 1) };
      return at % 2 === 0 ? httpClient(run, client) : socketClient(run, client, lanes);
    }),
  );
  await run.restarts;
  // What was answered is on the disk, and not only in memory.
  if (kills > 0) await server.restart();
  await watch.reach(await conclude(server, recorder));
  const operations = recorder.operations.map((one) => bounded(one, server.ends));
  return { operations, commits: watch.commits, epoch };
}

/** Counts the requests, and has the server killed and its history compacted in between. */
class Running implements Run {
  readonly target: RunServer;
  readonly recorder: Recorder;
  /** Resolves when the server is up after the last restart. */
  restarts = Promise.resolve();
  readonly #operations: number;
  /** Requests between two restarts. */
  readonly #stretch: number;
  #sent = 0;

  constructor(target: RunServer, recorder: Recorder, { operations, kills = 0 }: RunOptions) {
    this.target = target;
    this.recorder = recorder;
    this.#operations = operations;
    this.#stretch = kills === 0 ? Infinity : Math.ceil(operations / (kills + 1));
  }

  take(): boolean {
    if (this.#sent === this.#operations) return false;
    this.#sent++;
    if (this.#sent % this.#stretch === 0) {
      this.restarts = this.restarts.then(() => this.target.restart());
    }
    if (this.#sent % COMPACT_EVERY === 0) void compact(this.target);
    return true;
  }
}

/** What a process had been sent is done before its end, or never. */
function bounded(operation: Operation, ends: readonly number[]): Operation {
  const { answer, call } = operation;
  const until = ends.find((end) => end > call);
  if (answer.kind !== "unknown" || until === undefined) return operation;
  return { ...operation, answer: { ...answer, until } };
}

/** Reads all there is, and writes once more: the revision that this has is the last. */
async function conclude({ port }: Target, recorder: Recorder): Promise<number> {
  const connection = await HttpConnection.open(port);
  const send = async (asked: Asked): Promise<number> => {
    const sent = { asked, single: undefined };
    const operation = await recorder.record("the last one", undefined, asked, async () =>
      fromHttp(sent, false, await connection.send(toHttp(sent, false))),
    );
    const { answer } = operation!;
    if (answer.kind !== "done") throw new Error(`no answer to ${JSON.stringify(asked)}`);
    return answer.revision!;
  };
  await send({ then: [{ op: "list", range: {} }] });
  const revision = await send({ then: [{ op: "put", key: "the end", value: "of the run" }] });
  connection.close();
  return revision;
}

/** Forgets what is long ago. That this is refused at times, or breaks, is fine. */
async function compact({ port }: Target): Promise<void> {
  const request = { headers: [], body: "" };
  const connection = await HttpConnection.open(port).catch(() => undefined);
  const status = { ...request, method: "GET", target: PATHS.status };
  const answer = await connection?.send(status).catch(() => undefined);
  if (answer === undefined) return;
  const revision = JSON.parse(answer.body).revision - READABLE_COMMITS;
  const target = `${PATHS.compact}?revision=${Math.max(0, revision)}`;
  await connection!.send({ ...request, method: "POST", target }).catch(() => undefined);
  connection!.close();
}

/** The server process, whichever it is at the time. */
class ProcessServer implements RunServer, AsyncDisposable {
  readonly #directory: string;
  #process: ServerProcess | undefined;
  readonly ends: number[] = [];
  up: Promise<void> = Promise.resolve();

  constructor(directory: string) {
    this.#directory = directory;
  }

  get port(): number {
    return this.#process!.port;
  }

  async start(): Promise<void> {
    this.#process = await startServerProcess({ directory: this.#directory });
  }

  async restart(): Promise<void> {
    this.up = this.#process!.kill().then(() => {
      this.ends.push(performance.now());
      return this.start();
    });
    await this.up;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.kill();
  }
}
