/**
 * Clients that cost a server memory and give it nothing to do: they send large bodies slowly, ask for much
 * and read nothing, and watch without taking what comes. Bare connections, held open until the end.
 */

import { connect, type Socket } from "node:net";
import { PATHS } from "../../src/protocol.ts";
import { openRawSocket, type RawSocket } from "../support/raw-socket.ts";

export interface Flood extends AsyncDisposable {
  /** Connections that are held, by kind. */
  readonly kinds: ReadonlyMap<string, number>;
  /** Waits until as much as there is has got to the server, or is stuck on the way. */
  settled(): Promise<void>;
}

export interface FloodOptions {
  readonly port: number;
  /** A key with a large value, which is asked for again and again. */
  readonly largeKey: string;
  /** Clients of each kind. */
  readonly count: number;
}

export async function flood({ port, largeKey, count }: FloodOptions): Promise<Flood> {
  const sockets: Socket[] = [];
  const kinds = new Map<string, number>();
  const url = `http://127.0.0.1:${port}`;
  const webSockets = await Promise.all(Array.from({ length: count }, () => openRawSocket(url)));
  const open = (kind: string, ...parts: (string | Buffer)[]): void => {
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    sockets.push(hold(port, parts));
  };
  for (let at = 0; at < count; at++) {
    for (let more = 0; more < 4; more++)
      open("uploads that stop in the middle", upload(at), UPLOADED);
    open("pipelined reads that nobody takes", read(`${PATHS.kv}/${largeKey}`).repeat(PIPELINED));
    open("listings that nobody takes", read(`${PATHS.kv}?prefix=large/`).repeat(4));
    open("streamed listings that nobody takes", read(PATHS.kv, "Accept: application/x-ndjson"));
    const watch = `${PATHS.watch}?prefix=&initial=true`;
    open("watches that nobody takes", read(watch, "Accept: text/event-stream"));
    open("watches as lines that nobody takes", read(watch));
    const txn = transaction(at);
    const txnHead = ["Host: localhost", `Content-Length: ${txn.length}`];
    // Large ones together are more than fits; each is answered, or refused.
    if (at % 8 === 0) open("huge transactions", head("POST", PATHS.txn, txnHead), txn);
  }
  for (const [at, socket] of webSockets.entries()) {
    socket.pause();
    if (at % 2 === 0) socket.send({ id: 0, op: "watch", prefix: "", initial: true });
    for (let id = 1; id <= PIPELINED; id++) socket.send({ id, op: "get", key: largeKey });
  }
  kinds.set("WebSockets that read nothing", webSockets.length);
  return heldFlood(kinds, sockets, webSockets);
}

/** Uploads that stop just before their end, and nothing else. */
export function floodUploads(port: number, count: number): Flood {
  const sockets = Array.from({ length: count }, (_, at) => hold(port, [upload(at), UPLOADED]));
  return heldFlood(new Map([["uploads that stop in the middle", count]]), sockets, []);
}

/** WebSocket messages that stop just before their end, and nothing else. */
export async function floodMessages(port: number, count: number): Promise<Flood> {
  const url = `http://127.0.0.1:${port}`;
  const webSockets = await Promise.all(Array.from({ length: count }, () => openRawSocket(url)));
  const begun = Buffer.alloc(14);
  // A masked text of `SLOW` bytes, all of which are the mask's zeros.
  begun.writeUInt16BE(0x81ff);
  begun.writeBigUInt64BE(BigInt(SLOW), 2);
  for (const socket of webSockets) {
    socket.sendBytes(begun);
    socket.sendBytes(UPLOADED);
  }
  return heldFlood(new Map([["messages that stop in the middle", count]]), [], webSockets);
}

// --- internal ---

function read(target: string, ...headers: string[]): string {
  return head("GET", target, ["Host: localhost", ...headers]);
}

const MIB = 1024 ** 2;
/** Bytes of an upload or a message that never ends. */
export const SLOW = 15 * MIB;
const UPLOADED = Buffer.alloc(SLOW - 1, "x");
const PIPELINED = 64;
/** Nothing has moved for so long: nothing will. */
const QUIET_MS = 1_000;

function heldFlood(
  kinds: ReadonlyMap<string, number>,
  sockets: readonly Socket[],
  webSockets: readonly RawSocket[],
): Flood {
  const unsent = (): number =>
    sockets.reduce((sum, socket) => sum + (socket.destroyed ? 0 : socket.writableLength), 0) +
    webSockets.reduce((sum, socket) => sum + socket.unsentBytes(), 0);
  return {
    kinds,
    async settled() {
      for (let before = -1; unsent() !== before; await Bun.sleep(QUIET_MS)) before = unsent();
    },
    [Symbol.asyncDispose]() {
      for (const socket of [...sockets, ...webSockets]) socket.destroy();
      return Promise.resolve();
    },
  };
}

/** A connection that sends all of this and takes nothing. */
function hold(port: number, parts: readonly (string | Buffer)[]): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.pause();
  socket.on("error", () => {});
  for (const part of parts) socket.write(part);
  return socket;
}

function head(method: string, target: string, headers: readonly string[]): string {
  return `${[`${method} ${target} HTTP/1.1`, ...headers].join("\r\n")}\r\n\r\n`;
}

/** The head of a request that announces `SLOW` bytes. */
function upload(at: number): string {
  return head("PUT", `${PATHS.kv}/slow-${at}`, ["Host: localhost", `Content-Length: ${SLOW}`]);
}

/** The body of a transaction of about 30 MiB, made once. */
function transaction(at: number): Buffer {
  const put = (key: number): string => `{"op":"put","key":"txn/${at}/${key}","value":"${PADDING}"}`;
  return Buffer.from(`{"then":[${Array.from({ length: 30 }, (_, key) => put(key)).join()}]}`);
}

const PADDING = "x".repeat(MIB - 64);
