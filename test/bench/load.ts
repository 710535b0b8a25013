/**
 * Closed-loop load over plain TCP: each connection sends a request, waits for the whole answer, and
 * sends the next one. Cheaper than `fetch`, so that less of the machine goes to the one who measures.
 */

import { failed, httpAnswerBytes, type AnswerSize } from "./answers.ts";
import { openConnection } from "./connection.ts";
import { httpRequest } from "./requests.ts";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly milliseconds: number;
  /** Has the connection become a WebSocket first, at this path. */
  readonly socketPath?: string;
  /** The bytes of the request number `n` of a connection. */
  readonly request: (connection: number, n: number) => Uint8Array;
  /** How answers are told from each other; HTTP when left out. */
  readonly answerBytes?: AnswerSize;
  /** Asked after each answer: no more requests are sent once it holds. */
  readonly isOver?: () => boolean;
  /** Looks at one answer of `CHECK_EVERY`, and throws when it is a wrong one. */
  readonly check?: (answer: Buffer, connection: number, n: number) => void;
  /** Told how many milliseconds each of these requests took. */
  readonly onAnswer?: (connection: number, n: number, milliseconds: number) => void;
}

export interface Load {
  readonly answers: number;
  readonly milliseconds: number;
  /** Milliseconds of a core that this process took meanwhile. */
  readonly processorMs: number;
}

/** Answers a second. Throws on any answer that is no success. */
export async function measure(options: LoadOptions): Promise<number> {
  const { answers, milliseconds } = await load(options);
  return (answers * 1_000) / milliseconds;
}

/** The clock starts when all connections are there. Throws on any answer that is no success. */
export async function load(options: LoadOptions): Promise<Load> {
  const connections = await Promise.all(
    Array.from({ length: options.connections }, (_, index) => connect(options, index)),
  );
  try {
    const began = performance.now();
    const processor = process.cpuUsage();
    const counts = await Promise.all(
      connections.map((connection) => connection.run(began + options.milliseconds)),
    );
    const { user, system } = process.cpuUsage(processor);
    return {
      answers: counts.reduce((sum, count) => sum + count, 0),
      milliseconds: performance.now() - began,
      processorMs: (user + system) / 1_000,
    };
  } finally {
    for (const connection of connections) connection.end();
  }
}

/** The bytes of one HTTP/1.1 request. */
export function requestBytes(method: string, path: string, body?: string): Uint8Array {
  return Buffer.from(httpRequest(method, path, body));
}

// --- internal ---

/** Looking at each answer whole would cost as much as sending the request. */
const CHECK_EVERY = 64;

interface Driver {
  /** Sends and waits until `until` (of `performance.now()`); the number of answers. */
  run(until: number): Promise<number>;
  end(): void;
}

/** A server sends a ping now and then; what comes here answers in time without a pong. */
const PING = Buffer.from([0x89, 0]);

function behindPings(bytes: Buffer): Buffer {
  let at = 0;
  while (bytes[at] === PING[0] && bytes[at + 1] === PING[1]) at += PING.length;
  return bytes.subarray(at);
}

/** Nothing but a ping may come behind an answer: there is one request at a time. */
function leaveRest(rest: Buffer): void {
  if (behindPings(rest).length > 0) throw failed(rest);
}

async function connect(options: LoadOptions, connection: number): Promise<Driver> {
  const { answerBytes = httpAnswerBytes, request, check, onAnswer, isOver, socketPath } = options;
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  // Between the first failure and the wait for it there is a moment.
  promise.catch(() => {});
  let answered = 0;
  let pending: Buffer | undefined;
  let sent = 0;
  let until = 0;
  const server = await openConnection({
    port: options.port,
    ...(socketPath !== undefined && { socketPath }),
    onFail: reject,
    onData(chunk) {
      const all = pending === undefined ? chunk : Buffer.concat([pending, chunk]);
      const bytes = socketPath === undefined ? all : behindPings(all);
      const size = bytes.length === 0 ? undefined : answerBytes(bytes);
      if (size === undefined) {
        pending = Buffer.from(bytes);
        return;
      }
      if (size !== bytes.length) leaveRest(bytes.subarray(size));
      pending = undefined;
      if (answered % CHECK_EVERY === 0) check?.(bytes.subarray(0, size), connection, answered);
      const now = performance.now();
      onAnswer?.(connection, answered, now - sent);
      answered++;
      if (now >= until || isOver?.() === true) return resolve(answered);
      sent = now;
      server.write(request(connection, answered));
    },
  });
  return {
    async run(end) {
      until = end;
      sent = performance.now();
      server.write(request(connection, 0));
      return await promise;
    },
    end: () => server.end(),
  };
}
