/** Watchers in great number on one server, counted cheaply: kv, a bare publish, NATS. */

import { openConnection, type Connection } from "./connection.ts";
import { clientFrame, FrameCounter, SOCKET_PATH } from "./frames.ts";
import { valueOf } from "./keys.ts";
import { NatsCounter } from "./nats.ts";
import { httpRequest } from "./requests.ts";

export type WatchDialect = "kv" | "nats";

export interface WatcherOptions {
  readonly port: number;
  readonly dialect: WatchDialect;
  readonly watchers: number;
  /** What each watches; all keys when left out. */
  readonly prefixOf?: (watcher: number) => string;
}

export interface WatcherEvents {
  /** So many messages more have come, to all watchers together. */
  readonly onMessages: (count: number) => void;
  /** Gets each message whole, which costs time. */
  readonly onText?: (text: Buffer) => void;
  readonly onFail: (error: unknown) => void;
}

export interface WatcherGroup extends Disposable {
  /** Messages of each watcher so far. */
  counts(): number[];
}

/** Resolves when every one is watching; what says so is not counted. */
export async function openWatchers(
  options: WatcherOptions,
  events: WatcherEvents,
): Promise<WatcherGroup> {
  const open = options.dialect === "nats" ? openSubscriber : openWatcher;
  const watchers: Watcher[] = [];
  // Some at a time: a server's queue of connections that it has not accepted yet is bounded.
  for (let at = 0; at < options.watchers; at += AT_A_TIME) {
    const count = Math.min(AT_A_TIME, options.watchers - at);
    const some = Array.from({ length: count }, (_, one) => open(options, at + one, events));
    watchers.push(...(await Promise.all(some)));
  }
  return {
    counts: () => watchers.map(({ count }) => count()),
    [Symbol.dispose]() {
      for (const { connection } of watchers) connection.end();
    },
  };
}

/** A request that puts the value of a key, as every watcher of it is told. */
export function publishing(dialect: WatchDialect, key: string, number: number): Uint8Array {
  const value = valueOf(number);
  if (dialect === "nats") return Buffer.from(`PUB ${key} ${value.length}\r\n${value}\r\n`);
  return Buffer.from(httpRequest("PUT", `/v1/kv/${key}`, value));
}

// --- internal ---

const AT_A_TIME = 100;

interface Watcher {
  readonly connection: Connection;
  count(): number;
}

async function openWatcher(
  { port, prefixOf }: WatcherOptions,
  watcher: number,
  { onMessages, onText, onFail }: WatcherEvents,
): Promise<Watcher> {
  const created = Promise.withResolvers<void>();
  const counter = new FrameCounter(onText);
  let counted = 0;
  const connection = await openConnection({
    port,
    socketPath: SOCKET_PATH,
    onFail(error) {
      created.reject(error);
      onFail(error);
    },
    onData(chunk) {
      counter.push(chunk);
      if (counted === 0 && counter.messages > 0) {
        counted = 1;
        created.resolve();
      }
      const more = counter.messages - counted;
      counted += more;
      if (more > 0) onMessages(more);
    },
  });
  const prefix = prefixOf === undefined ? {} : { prefix: prefixOf(watcher) };
  connection.write(clientFrame(JSON.stringify({ id: 1, op: "watch", ...prefix })));
  await created.promise;
  return { connection, count: () => counter.messages - 1 };
}

async function openSubscriber(
  { port }: WatcherOptions,
  _watcher: number,
  { onMessages, onFail }: WatcherEvents,
): Promise<Watcher> {
  const subscribed = Promise.withResolvers<void>();
  const counter = new NatsCounter(subscribed.resolve);
  let counted = 0;
  const connection = await openConnection({
    port,
    onFail(error) {
      subscribed.reject(error);
      onFail(error);
    },
    onData(chunk) {
      counter.push(chunk);
      const more = counter.messages - counted;
      counted += more;
      if (more > 0) onMessages(more);
    },
  });
  connection.write(Buffer.from('CONNECT {"verbose":false}\r\nSUB > 1\r\nPING\r\n'));
  await subscribed.promise;
  return { connection, count: () => counter.messages };
}
