/** Puts every key into a server, with many requests on their way at a time. */

import { httpAnswerBytes, respAnswerBytes } from "./answers.ts";
import type { FillOptions } from "./jobs.ts";
import { scattered } from "./keys.ts";
import { requestOf } from "./requests.ts";

/** Throws on any answer that is no success. Resolves when all have been answered. */
export async function fill(options: FillOptions): Promise<{ milliseconds: number }> {
  const began = performance.now();
  const connections = Math.min(CONNECTIONS, Math.ceil(options.keys / KEYS_OF_A_CONNECTION));
  let taken = 0;
  const next = (): number | undefined => {
    if (taken === options.keys) return undefined;
    return scattered(taken++, options.keys);
  };
  await Promise.all(Array.from({ length: connections }, () => drive(options, next)));
  return { milliseconds: performance.now() - began };
}

// --- internal ---

const CONNECTIONS = 64;
const KEYS_OF_A_CONNECTION = 100;
/** Requests that go out together on one connection, where the server takes them so. */
const PIPELINE = { kv: 1, etcd: 1, redis: 64 } as const;

async function drive(options: FillOptions, next: () => number | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const { port, dialect } = options;
  const answerBytes = dialect === "redis" ? respAnswerBytes : httpAnswerBytes;
  const plan = { dialect, operation: "put", keys: options.keys } as const;
  let waiting = 0;
  let pending: Buffer = Buffer.alloc(0);
  const send = (): void => {
    let text = "";
    for (; waiting < PIPELINE[dialect]; waiting++) {
      const number = next();
      if (number === undefined) break;
      text += requestOf(plan, number);
    }
    if (waiting === 0) return resolve();
    if (socket.write(text) !== text.length) reject(new Error("a request was cut"));
  };
  const take = (chunk: Buffer): void => {
    pending = pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([pending, chunk]);
    for (let size = answerBytes(pending); size !== undefined; size = answerBytes(pending)) {
      pending = pending.subarray(size);
      waiting--;
    }
    if (waiting === 0) send();
  };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
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
  send();
  try {
    await promise;
  } finally {
    socket.end();
  }
}
