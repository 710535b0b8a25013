/**
 * Clients that ask what their workload says, one thing after the other on each lane, and record
 * what they are answered. They come back when the server does.
 */

import type { Random } from "../support/random.ts";
import { canWrite, type Answer, type Asked, type Operation } from "./history.ts";
import { Broken, HttpConnection } from "./http-connection.ts";
import { fromHttp, toHttp } from "./http-wire.ts";
import { SocketConnection } from "./socket-connection.ts";
import { fromSocket, toSocket, type SocketBody } from "./socket-wire.ts";
import { singleOf, type Sent } from "./wire.ts";
import type { Workload } from "./workload.ts";

/** Where the server is, which may be another port after each start. */
export interface Target {
  readonly port: number;
  /** Resolves when it is up, as far as is known. */
  readonly up: Promise<void>;
}

/** What all clients of a run share. */
export interface Run {
  readonly target: Target;
  readonly recorder: Recorder;
  /** May one more request be sent? */
  take(): boolean;
}

export interface ClientOptions {
  readonly name: string;
  readonly workload: Workload;
  /** Chooses the form of requests. */
  readonly random: Random;
}

/** Operations in the order sent. */
export class Recorder {
  readonly #operations: (Operation | undefined)[] = [];

  /** What has been recorded; reads without an answer are left out, they tell nothing. */
  get operations(): Operation[] {
    return this.#operations.filter((operation) => operation !== undefined);
  }

  /** Records a request with what `send` answers; with `Broken` the outcome is unknown. */
  async record(
    client: string,
    connection: string | undefined,
    asked: Asked,
    send: () => Promise<Answer>,
  ): Promise<Operation | undefined> {
    const place = this.#operations.push(undefined) - 1;
    const call = performance.now();
    const answer = await send().catch((error: unknown): Answer => {
      if (error instanceof Broken) return { kind: "unknown" };
      throw error;
    });
    const end = performance.now();
    if (answer.kind === "unknown" && !canWrite(asked)) return undefined;
    const on = connection === undefined ? undefined : { connection };
    const operation = { client, ...on, call, return: end, asked, answer };
    this.#operations[place] = operation;
    return operation;
  }
}

/** A client with one HTTP connection. */
export async function httpClient(run: Run, options: ClientOptions): Promise<void> {
  const { name, workload, random } = options;
  let connection: HttpConnection | undefined;
  while (run.take()) {
    connection ??= await reconnect(run.target, (port) => HttpConnection.open(port));
    const asked = workload.next();
    const { sent, meta } = { sent: form(asked, random), meta: random.oneIn(3) };
    const on = connection;
    const operation = await run.recorder.record(name, undefined, asked, async () =>
      fromHttp(sent, meta, await on.send(toHttp(sent, meta))),
    );
    if (operation !== undefined) workload.learn(operation);
    if (on.closed) connection = undefined;
  }
  connection?.close();
}

/** A client with one WebSocket, on which so many requests are under way together. */
export async function socketClient(run: Run, options: ClientOptions, lanes: number): Promise<void> {
  const { name, workload, random } = options;
  let connections = 0;
  let opening: Promise<[SocketConnection, string]> | undefined;
  const connect = async (): Promise<[SocketConnection, string]> => {
    const opened = await reconnect(run.target, (port) => SocketConnection.open(port));
    return [opened, `connection ${++connections} of ${name}`];
  };
  const lane = async (): Promise<void> => {
    while (run.take()) {
      const current = (opening ??= connect());
      const [connection, on] = await current;
      const asked = workload.next();
      const sent = form(asked, random);
      const operation = await run.recorder.record(name, on, asked, async () =>
        fromSocket(sent, (await connection.send(toSocket(sent))) as SocketBody),
      );
      if (operation !== undefined) workload.learn(operation);
      if (connection.closed && opening === current) opening = undefined;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  if (opening !== undefined) (await opening)[0].close();
}

/** Connects to wherever the server is, once it is up. */
export async function reconnect<T>(target: Target, open: (port: number) => Promise<T>): Promise<T> {
  for (;;) {
    await target.up;
    const { port } = target;
    try {
      return await open(port);
    } catch (error) {
      // It may have been killed a moment ago; otherwise it should be there.
      await Bun.sleep(1);
      await target.up;
      if (target.port === port) throw error;
    }
  }
}

// --- internal ---

/** Now and then as a transaction what has a form of its own. */
function form(asked: Asked, random: Random): Sent {
  const single = singleOf(asked);
  return { asked, single: asked.at === undefined && random.oneIn(5) ? undefined : single };
}
