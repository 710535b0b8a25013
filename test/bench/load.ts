/**
 * Closed-loop load over plain TCP: each connection sends a request, waits for the whole answer, and
 * sends the next one. Cheaper than `fetch`, so that less of the machine goes to the one who measures.
 */

import { httpAnswerBytes, type AnswerSize } from "./answers.ts";
import { httpRequest } from "./requests.ts";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly milliseconds: number;
  /** The bytes of the request number `n` of a connection. */
  readonly request: (connection: number, n: number) => Uint8Array;
  /** How answers are told from each other; HTTP when left out. */
  readonly answerBytes?: AnswerSize;
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

interface Connection {
  /** Sends and waits until `until` (of `performance.now()`); the number of answers. */
  run(until: number): Promise<number>;
  end(): void;
}

async function connect(options: LoadOptions, connection: number): Promise<Connection> {
  const { answerBytes = httpAnswerBytes, request, check, onAnswer } = options;
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let answered = 0;
  let pending: Buffer | undefined;
  let sent = 0;
  let until = 0;
  const send = (): void => {
    const bytes = request(connection, answered);
    // A request is smaller than any buffer of a socket, and the only one on its way.
    if (socket.write(bytes) !== bytes.length) reject(new Error("a request was cut"));
  };
  const take = (chunk: Buffer): void => {
    const bytes = pending === undefined ? chunk : Buffer.concat([pending, chunk]);
    const size = answerBytes(bytes);
    if (size === undefined) {
      pending = Buffer.from(bytes);
      return;
    }
    if (size !== bytes.length) throw new Error(`more than an answer:\n${bytes.toString()}`);
    pending = undefined;
    if (answered % CHECK_EVERY === 0) check?.(bytes, connection, answered);
    const now = performance.now();
    onAnswer?.(connection, answered, now - sent);
    answered++;
    if (now >= until) return resolve(answered);
    sent = now;
    send();
  };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: options.port,
    socket: {
      data(_, chunk) {
        try {
          take(chunk);
        } catch (error) {
          reject(error as Error);
        }
      },
      close: () => reject(new Error("the server closed the connection")),
      error: (_, error) => reject(error),
    },
  });
  return {
    async run(end) {
      until = end;
      sent = performance.now();
      send();
      return await promise;
    },
    end: () => void socket.end(),
  };
}
