/** Request bodies: what may come in, how much of it, and its text as JSON. */

import { KvError } from "../errors.ts";
import { JSON_BODY_BYTES_MAX } from "../limits.ts";
import { decodeUtf8, quote } from "../text.ts";
import type { Call } from "./route.ts";

/**
 * The whole body of a request.
 * @throws `unsupported` for an encoded body or a multipart form, `too_large` past `bytesMax`.
 */
export async function readBody(call: Call, bytesMax: number, what: string): Promise<Uint8Array> {
  const { request, server } = call;
  refuseWrapped(request.headers);
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced > bytesMax) throw tooLarge(what, announced, bytesMax);
  const bytes = await request.bytes();
  if (bytes.length > bytesMax) throw tooLarge(what, bytes.length, bytesMax);
  // From here on the answer waits for the store, and a slow disk is no idle client.
  server.timeout(request, 0);
  return bytes;
}

/** The body of a request as JSON. Throws as `readBody`, and `invalid_argument` for what is no JSON. */
export async function readJson(call: Call): Promise<unknown> {
  const text = decodeUtf8(await readBody(call, JSON_BODY_BYTES_MAX, "the body"));
  if (text === undefined) throw new KvError("invalid_argument", "the body is not UTF-8");
  if (text.trim() === "") {
    throw new KvError("invalid_argument", "the body is empty; it must be a JSON object");
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason =
      error instanceof SyntaxError ? error.message.replace("JSON Parse error: ", "") : "";
    throw new KvError("invalid_argument", `the body is not JSON: ${quote(reason)}`);
  }
}

// --- internal ---

function refuseWrapped(headers: Headers): void {
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding.trim().toLowerCase() !== "identity" && encoding.trim() !== "") {
    throw new KvError(
      "unsupported",
      `a body with Content-Encoding ${quote(encoding)} is not taken; send the bytes as they are: ` +
        "curl -T FILE URL",
    );
  }
  if (headers.get("content-type")?.toLowerCase().startsWith("multipart/")) {
    throw new KvError(
      "unsupported",
      "a multipart form is not taken; send the bytes as they are: curl -T FILE URL",
    );
  }
}

function tooLarge(what: string, bytes: number, bytesMax: number): KvError {
  return new KvError("too_large", `${what} has ${bytes} bytes; at most ${bytesMax} are allowed`, {
    limit: bytesMax,
  });
}
