/**
 * Request bodies: what may come in, how much of it, and its text as JSON. The platform takes bodies
 * of any size and throws away what nobody reads, so the bounds are here, and what is past one is
 * told why.
 */

import { KvError } from "../errors.ts";
import { BODIES_BYTES_MAX, BODY_PIECE_BYTES_MAX, JSON_BODY_BYTES_MAX } from "../limits.ts";
import { decodeUtf8, quote } from "../text.ts";
import { parseJson } from "./json-text.ts";
import type { Call } from "./route.ts";

/**
 * The whole body of a request.
 * @throws `unsupported` for an encoded body or a multipart form, `too_large` past `bytesMax`,
 * `unavailable` when too many large bodies are being read, or when the client has gone.
 */
export function readBody(call: Call, bytesMax: number, what: string): Promise<Uint8Array> {
  const { request } = call;
  const { headers } = request;
  refuseWrapped(headers);
  const length = headers.get("content-length");
  const announced = length === null ? undefined : Number(length);
  if (announced !== undefined && announced > bytesMax) {
    throw tooLarge(`${what} has ${announced} bytes; at most ${bytesMax} are allowed`, bytesMax);
  }
  const inOnePiece = announced !== undefined && announced <= BODY_PIECE_BYTES_MAX;
  return inOnePiece ? readWhole(request) : readPieces(call, bytesMax, what);
}

/** The body of a request as JSON. Throws as `readBody`, and `invalid_argument` for other texts. */
export async function readJson(call: Call): Promise<unknown> {
  const text = decodeUtf8(await readBody(call, JSON_BODY_BYTES_MAX, "the body"));
  if (text === undefined) throw new KvError("invalid_argument", "the body is not UTF-8");
  if (text.trim() === "") {
    throw new KvError("invalid_argument", "the body is empty; it must be a JSON object");
  }
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof KvError) throw error;
    // What nests too deep for the parser is a RangeError.
    const reason = (error as Error).message.replace("JSON Parse error: ", "");
    const line = reason.replaceAll(/\p{Cc}/gu, " ").slice(0, 80);
    throw new KvError("invalid_argument", `the body is not JSON (${line})`);
  }
}

/** For requests that say all in their target: a body that was ignored would surprise its sender. */
export function refuseBody({ request }: Call, hint: string): void {
  const { headers } = request;
  if (!headers.has("transfer-encoding") && Number(headers.get("content-length") ?? 0) === 0) return;
  throw new KvError("invalid_argument", `this request takes no body; ${hint}`);
}

// --- internal ---

function refuseWrapped(headers: Headers): void {
  const encoding = headers.get("content-encoding")?.trim() ?? "";
  if (encoding !== "" && encoding.toLowerCase() !== "identity") {
    throw new KvError(
      "unsupported",
      `a body with Content-Encoding ${quote(encoding)} is not taken; ` +
        "send the bytes as they are, without that header: curl -T FILE URL",
    );
  }
  if (headers.get("content-type")?.trimStart().toLowerCase().startsWith("multipart/")) {
    throw new KvError(
      "unsupported",
      "a multipart form (curl -F) is not taken; send the bytes as they are: curl -T FILE URL",
    );
  }
}

async function readWhole(request: Request): Promise<Uint8Array> {
  try {
    return await request.bytes();
  } catch (error) {
    throw clientGone(error);
  }
}

/** Reads piece by piece, so that neither a lie about the length nor a slow client costs much. */
async function readPieces(call: Call, bytesMax: number, what: string): Promise<Uint8Array> {
  const { request, server, context } = call;
  const { bodies } = context;
  if (request.body === null) return new Uint8Array(0);
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of read(request.body)) {
      // The platform's own count begins with the request, however much comes in.
      server.timeout(request, context.idleSeconds);
      bytes += piece.length;
      bodies.bytes += piece.length;
      if (bytes > bytesMax)
        throw tooLarge(`${what} has more than the ${bytesMax} bytes allowed`, bytesMax);
      if (bodies.bytes > BODIES_BYTES_MAX) {
        throw new KvError(
          "unavailable",
          `the server is reading ${BODIES_BYTES_MAX} bytes of other bodies; nothing was stored, try again`,
          { limit: BODIES_BYTES_MAX },
        );
      }
      pieces.push(piece);
    }
    return join(pieces, bytes);
  } finally {
    bodies.bytes -= bytes;
  }
}

async function* read(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw clientGone(error);
      });
      if (done) return;
      yield value;
    }
  } finally {
    // What is still to come is thrown away by the platform.
    void reader.cancel().catch(() => {});
  }
}

function join(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const joined = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

function tooLarge(message: string, limit: number): KvError {
  return new KvError("too_large", message, { limit });
}

/** Nobody reads the answer; but nothing has failed either. */
function clientGone(cause: unknown): KvError {
  return new KvError("unavailable", "the body ended before its time", {}, cause);
}
