/**
 * HTTP as bytes on a connection: what `fetch` would tidy up before it sends it, and the answer as it
 * came. A request is text, one byte a character.
 */

import { connect } from "node:net";

export interface RawAnswer {
  readonly status: number;
  /** The status line without its line end. */
  readonly statusLine: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly bytes: Uint8Array;
  /** The bytes as text. */
  readonly body: string;
}

/** Sends a request and resolves with its answer, `undefined` when the connection ends without one. */
export function sendRaw(port: number, ...parts: Sendable[]): Promise<RawAnswer | undefined> {
  const bodiless = parts[0]?.toString().startsWith("HEAD ") === true;
  return send(port, parts, (received) => parseAnswer(received, bodiless));
}

/** The same of an answer without end: as much of it as holds `enough`. */
export function sendUntil(
  port: number,
  request: string,
  enough: (body: string) => boolean,
): Promise<RawAnswer | undefined> {
  return send(port, [request], (received) => {
    const answer = parseAnswer(received, true);
    return answer !== undefined && enough(answer.body) ? answer : undefined;
  });
}

type Sendable = string | Uint8Array;

/**
 * Sends a request and resolves with all that has come once the connection is closed, one character a
 * byte. Takes nothing before `ready`.
 */
export function untilClosed(
  port: number,
  request: string,
  ready: Promise<unknown> = Promise.resolve(),
): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let received = "";
  const socket = connect(port, "127.0.0.1", () => {
    socket.write(request, "latin1");
    void ready.then(() => {
      socket.on("data", (text: string) => void (received += text));
      socket.resume();
    });
  });
  socket.setEncoding("latin1");
  socket.pause();
  socket.on("error", () => {});
  socket.on("close", () => resolve(received));
  return promise;
}

/** A request without a body that ends the connection; `target` is sent as it is. */
export function rawRequest(
  method: string,
  target: string,
  headers: readonly string[] = [],
): string {
  const lines = [`${method} ${target} HTTP/1.1`, "Connection: close", ...headers];
  if (!headers.some((line) => /^host:/i.test(line))) lines.push("Host: localhost");
  return `${lines.join("\r\n")}\r\n\r\n`;
}

// --- internal ---

function send(
  port: number,
  parts: readonly Sendable[],
  parse: (received: string) => RawAnswer | undefined,
): Promise<RawAnswer | undefined> {
  const { promise, resolve } = Promise.withResolvers<RawAnswer | undefined>();
  let received = "";
  const socket = connect(port, "127.0.0.1", () => {
    void writeAll(socket, parts);
  });
  socket.setEncoding("latin1");
  socket.on("data", (text: string) => {
    received += text;
    const answer = parse(received);
    if (answer === undefined) return;
    resolve(answer);
    socket.destroy();
  });
  // A server that answers early may close while the rest of the request is still on its way.
  socket.on("error", () => {});
  socket.on("close", () => resolve(parseAnswer(received, true)));
  return promise;
}

async function writeAll(
  socket: ReturnType<typeof connect>,
  parts: readonly Sendable[],
): Promise<void> {
  for (const part of parts) {
    if (socket.destroyed) return;
    const bytes = typeof part === "string" ? Buffer.from(part, "latin1") : part;
    if (!socket.write(bytes)) {
      await new Promise<void>((resolve) => {
        socket.once("drain", resolve);
        socket.once("close", resolve);
      });
    }
  }
}

/** The answer in what has come so far, once it is whole; interim answers (1xx) are skipped. */
function parseAnswer(text: string, bodiless: boolean): RawAnswer | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [statusLine = "", ...lines] = text.slice(0, end).split("\r\n");
  const status = Number(statusLine.split(" ")[1]);
  const rest = text.slice(end + 4);
  if (status === 100) return parseAnswer(rest, bodiless);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const isChunked = headers.get("transfer-encoding") === "chunked";
  const body = isChunked ? unchunked(rest) : { text: rest, isWhole: true };
  const length = Number(headers.get("content-length") ?? 0);
  if (!bodiless && (!body.isWhole || body.text.length < length)) return undefined;
  const bytes = Buffer.from(body.text, "latin1");
  return { status, statusLine, headers, bytes, body: bytes.toString("utf8") };
}

/** What of a body has come in whole chunks, and whether the last one has. */
function unchunked(chunks: string): { text: string; isWhole: boolean } {
  let text = "";
  for (let at = 0; ;) {
    const [line = "", size = ""] = /^([0-9a-f]+)\r\n/i.exec(chunks.slice(at, at + 20)) ?? [];
    const start = at + line.length;
    const end = start + Number.parseInt(size, 16);
    if (line === "" || end + 2 > chunks.length) return { text, isWhole: false };
    if (end === start) return { text, isWhole: true };
    text += chunks.slice(start, end);
    at = end + 2;
  }
}
