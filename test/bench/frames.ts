/** As much of WebSocket (RFC 6455) as the loaders need, on a bare TCP connection. */

/** Where kv, and the bare server, speak WebSocket. */
export const SOCKET_PATH = "/v1/ws";

/** The request that makes a WebSocket of a connection. */
export function upgradeRequest(path: string): Uint8Array {
  return Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
}

/** What stands before a payload of a client. The mask is zero, which leaves the payload as it is. */
export function clientFrameHeader(opcode: 1 | 2, length: number): Buffer {
  const size = serverFrameHeaderBytes(length);
  const header = Buffer.alloc(size + 4);
  header[0] = 0x80 | opcode;
  header[1] = 0x80 | (size === 2 ? length : size === 4 ? 126 : 127);
  if (size === 4) header.writeUInt16BE(length, 2);
  if (size === 10) header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}

export function clientFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  return Buffer.concat([clientFrameHeader(1, payload.length), payload]);
}

/** What stands before a payload of the server, which has no mask. */
export function serverFrameHeaderBytes(length: number): number {
  if (length < 126) return 2;
  return length < 65_536 ? 4 : 10;
}

/**
 * Takes frames of a server as they come, in pieces of any size, without putting together what nobody
 * looks at: it costs little more than the bytes of the headers.
 */
export class FrameCounter {
  /** Whole text messages so far. */
  messages = 0;
  readonly #onText: ((text: Buffer) => void) | undefined;
  readonly #header = Buffer.alloc(10);
  #headerBytes = 0;
  /** Bytes of the payload that are still to come. */
  #left = 0;
  #isText = false;
  #pieces: Buffer[] = [];

  /** `onText` gets each payload whole; without it they are only counted. */
  constructor(onText?: (payload: Buffer) => void) {
    this.#onText = onText;
  }

  /** @throws for a close frame. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left === 0) {
        at = this.#takeHeader(chunk, at);
        if (this.#left === 0) continue;
      }
      const end = Math.min(chunk.length, at + this.#left);
      this.#left -= end - at;
      if (this.#isText && this.#onText !== undefined) this.#take(chunk.subarray(at, end));
      if (this.#left === 0 && this.#isText) this.messages++;
      at = end;
    }
  }

  /** Up to where there is a header; what comes then is the payload. */
  #takeHeader(chunk: Buffer, from: number): number {
    let at = from;
    for (; at < chunk.length; at++) {
      this.#header[this.#headerBytes++] = chunk[at]!;
      const short = this.#header[1]! & 0x7f;
      if (this.#headerBytes < 2) continue;
      if (this.#headerBytes < (short < 126 ? 2 : short === 126 ? 4 : 10)) continue;
      const opcode = this.#header[0]! & 0x0f;
      if (opcode === 8) throw new Error("the server closed a WebSocket");
      this.#isText = opcode === 1;
      this.#left =
        short < 126
          ? short
          : short === 126
            ? this.#header.readUInt16BE(2)
            : Number(this.#header.readBigUInt64BE(2));
      this.#headerBytes = 0;
      return at + 1;
    }
    return at;
  }

  #take(piece: Buffer): void {
    if (this.#left === 0 && this.#pieces.length === 0) return this.#onText!(piece);
    this.#pieces.push(Buffer.from(piece));
    if (this.#left > 0) return;
    const whole = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#onText!(whole);
  }
}
