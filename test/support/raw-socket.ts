/** A WebSocket client on a bare TCP connection: it can stop reading, and send what no good client sends. */

import { connect, type Socket } from "node:net";
import { PATHS } from "../../src/protocol.ts";

export interface RawSocket {
  /** Every text message that came, oldest first, where nobody else takes them. */
  readonly texts: string[];
  /** Every binary message that came, oldest first. */
  readonly frames: Uint8Array[];
  /** The head of the answer to the upgrade. */
  readonly head: string;
  /** Resolves at the end of the connection, with the code of the close frame when there was one. */
  readonly closed: Promise<number | undefined>;
  /** Pings that came. */
  pings: number;
  send(message: unknown): void;
  sendFrame(opcode: number, payload: Uint8Array): void;
  /** Sends bytes as they are. */
  sendBytes(bytes: Uint8Array): void;
  /** Bytes given to `send` that the server has not taken. */
  unsentBytes(): number;
  /** Stops taking anything, until `resume`. */
  pause(): void;
  resume(): void;
  /** Resolves when the test holds; it is asked again at each message. */
  until(test: () => boolean): Promise<void>;
  destroy(): void;
}

/** Connects to a server by its `http:` address; `take` gets each text message as it comes. */
export async function openRawSocket(
  url: string,
  take?: (text: string) => void,
): Promise<RawSocket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  socket.write(
    `GET ${PATHS.socket} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: Upgrade\r\n` +
      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  const { head, rest } = await readHead(socket);
  const closed = Promise.withResolvers<number | undefined>();
  const checks = new Set<() => void>();
  let code: number | undefined;
  const sendFrame = (opcode: number, payload: Uint8Array): void => {
    socket.write(encodeFrame(opcode, payload));
  };
  const raw: RawSocket = {
    texts: [],
    frames: [],
    head,
    closed: closed.promise,
    pings: 0,
    send(message) {
      const text = typeof message === "string" ? message : JSON.stringify(message);
      sendFrame(OPCODES.text, Buffer.from(text));
    },
    sendFrame,
    sendBytes: (bytes) => void socket.write(bytes),
    unsentBytes: () => socket.writableLength,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    async until(test) {
      while (!test()) {
        const { promise, resolve } = Promise.withResolvers<void>();
        checks.add(resolve);
        await promise;
        checks.delete(resolve);
      }
    },
    destroy: () => void socket.destroy(),
  };
  const keep = (text: string): void => void raw.texts.push(text);
  const decoder = new FrameDecoder((opcode, payload) => {
    if (opcode === OPCODES.text) (take ?? keep)(payload.toString());
    if (opcode === OPCODES.binary) raw.frames.push(Uint8Array.from(payload));
    if (opcode === OPCODES.close && payload.length >= 2) code = payload.readUInt16BE(0);
    if (opcode === OPCODES.ping) {
      raw.pings++;
      sendFrame(OPCODES.pong, payload);
    }
    for (const check of checks) check();
  });
  decoder.push(rest);
  socket.on("data", (data: Buffer) => decoder.push(data));
  socket.on("close", () => {
    closed.resolve(code);
    for (const check of checks) check();
  });
  return raw;
}

// --- internal ---

const OPCODES = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

async function readHead(socket: Socket): Promise<{ head: string; rest: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ head: string; rest: Buffer }>();
  let bytes = Buffer.alloc(0);
  const read = (data: Buffer): void => {
    bytes = Buffer.concat([bytes, data]);
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0) return;
    socket.off("data", read);
    resolve({ head: bytes.toString("latin1", 0, end), rest: bytes.subarray(end + 4) });
  };
  socket.on("data", read);
  socket.once("close", () => reject(new Error("closed before the answer to the upgrade")));
  return await promise;
}

/** Collects bytes in pieces and calls back for each whole frame. */
class FrameDecoder {
  #pieces: Buffer[] = [];
  #length = 0;
  #needed = 2;
  readonly #frame: (opcode: number, payload: Buffer) => void;

  constructor(frame: (opcode: number, payload: Buffer) => void) {
    this.#frame = frame;
  }

  push(data: Buffer): void {
    this.#pieces.push(data);
    this.#length += data.length;
    // A large frame comes in many pieces: they are put together once, when all are there.
    if (this.#length < this.#needed) return;
    let bytes = Buffer.concat(this.#pieces);
    for (;;) {
      const size = frameSize(bytes);
      this.#needed = size.total;
      if (bytes.length < size.total || size.header === 0) break;
      this.#frame(bytes[0]! & 0x0f, bytes.subarray(size.header, size.total));
      bytes = bytes.subarray(size.total);
    }
    this.#pieces = [bytes];
    this.#length = bytes.length;
  }
}

/** The bytes of the header and of the whole frame; header 0 while too little is there to tell. */
function frameSize(bytes: Buffer): { header: number; total: number } {
  if (bytes.length < 2) return { header: 0, total: 2 };
  const short = bytes[1]! & 0x7f;
  if (short < 126) return { header: 2, total: 2 + short };
  const header = short === 126 ? 4 : 10;
  if (bytes.length < header) return { header: 0, total: header };
  const length = short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return { header, total: header + length };
}

/** A masked frame; the mask is zero, which leaves the payload as it is. */
function encodeFrame(opcode: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const size = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.alloc(size + 4 + length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (size === 2 ? length : size === 4 ? 126 : 127);
  if (size === 4) frame.writeUInt16BE(length, 2);
  if (size === 10) frame.writeBigUInt64BE(BigInt(length), 2);
  frame.set(payload, size + 4);
  return frame;
}
