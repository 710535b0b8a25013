/** A small WebSocket client for tests: sends JSON, keeps every message, and awaits the ones wanted. */

import { decodeAnswers, type FrameAnswer, type FrameAnswers } from "../../src/binary-answer.ts";
import { encodeRequest, type FrameOperation } from "../../src/binary-request.ts";
import type { KvError } from "../../src/errors.ts";
import type { SocketMessage } from "../../src/messages.ts";
import { PATHS } from "../../src/protocol.ts";

/** A message as it came; tests look at whichever fields they expect. */
export type Received = Partial<Record<string, unknown>> & { type: SocketMessage["type"] };

export interface SocketClient {
  /** Every message that came, oldest first. */
  readonly messages: readonly Received[];
  /** The same as the texts that were sent. */
  readonly texts: readonly string[];
  /** Every binary frame that came, oldest first. */
  readonly frames: readonly FrameAnswers[];
  /** The same as the bytes that were sent. */
  readonly frameBytes: readonly Uint8Array[];
  readonly protocol: string;
  /** Resolves with the close code. */
  readonly closed: Promise<{ code: number; reason: string }>;
  /** Sends a text as it is, bytes as a binary message, anything else as JSON. */
  send(message: unknown): void;
  /** Sends a request with the next free id and resolves with its answer. */
  request(fields: Record<string, unknown>): Promise<Received>;
  /** Sends a frame with the next free id and resolves with its answers, or why there are none. */
  many(operations: readonly FrameOperation[]): Promise<readonly FrameAnswer[] | KvError>;
  /** Resolves when so many binary frames have come. Rejects at the close. */
  untilFrames(count: number): Promise<void>;
  /** Resolves with the first message, old or new, for which the test holds. Rejects at the close. */
  until(test: (message: Received) => boolean): Promise<Received>;
  close(): Promise<void>;
}

/** Connects to a server by its `http:` address. */
export async function openSocket(url: string, protocols: string[] = []): Promise<SocketClient> {
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}${PATHS.socket}`, protocols);
  const messages: Received[] = [];
  const texts: string[] = [];
  const frames: FrameAnswers[] = [];
  const frameBytes: Uint8Array[] = [];
  const waiters = new Set<(message: Received | undefined) => void>();
  const frameWaiters = new Set<() => void>();
  let isClosed = false;
  const closed = Promise.withResolvers<{ code: number; reason: string }>();
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", (event) => {
    if (typeof event.data !== "string") {
      const bytes = new Uint8Array(event.data as ArrayBuffer);
      frameBytes.push(bytes);
      frames.push(decodeAnswers(bytes));
      for (const waiter of frameWaiters) waiter();
      return;
    }
    const message = JSON.parse(event.data as string) as Received;
    texts.push(event.data as string);
    messages.push(message);
    for (const waiter of waiters) waiter(message);
  });
  socket.addEventListener("close", ({ code, reason }) => {
    closed.resolve({ code, reason });
    isClosed = true;
    for (const waiter of waiters) waiter(undefined);
    for (const waiter of frameWaiters) waiter();
  });
  const opened = Promise.withResolvers<void>();
  socket.addEventListener("open", () => opened.resolve());
  socket.addEventListener("error", () => opened.reject(new Error(`cannot connect to ${url}`)));
  await opened.promise;

  let lastId = 0;
  let lastFrame = 0;
  const client: SocketClient = {
    messages,
    texts,
    frames,
    frameBytes,
    protocol: socket.protocol,
    closed: closed.promise,
    send(message) {
      const raw = typeof message === "string" || message instanceof Uint8Array;
      socket.send(raw ? (message as string) : JSON.stringify(message));
    },
    async request(fields) {
      const id = `request-${++lastId}`;
      client.send({ id, ...fields });
      return await client.until((message) => message["id"] === id);
    },
    async many(operations) {
      const id = ++lastFrame;
      client.send(encodeRequest(id, operations));
      for (let seen = frames.length; ; seen++) {
        await client.untilFrames(seen + 1);
        if (frames[seen]!.id === id) return frames[seen]!.answers;
      }
    },
    async untilFrames(count) {
      while (frames.length < count) {
        if (isClosed) throw new Error(`closed after ${frames.length} frames`);
        const { promise, resolve } = Promise.withResolvers<void>();
        frameWaiters.add(resolve);
        await promise;
        frameWaiters.delete(resolve);
      }
    },
    until(test) {
      const found = messages.find((message) => test(message));
      if (found !== undefined) return Promise.resolve(found);
      const { promise, resolve, reject } = Promise.withResolvers<Received>();
      const waiter = (message: Received | undefined): void => {
        if (message !== undefined && !test(message)) return;
        waiters.delete(waiter);
        if (message !== undefined) resolve(message);
        else reject(new Error(`closed; the last message was ${texts.at(-1)?.slice(0, 200)}`));
      };
      waiters.add(waiter);
      return promise;
    },
    async close() {
      socket.close();
      await closed.promise;
    },
  };
  return client;
}
