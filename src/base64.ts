/**
 * Standard base64 of bytes, strictly. Stands on what every platform of the client has: browsers,
 * Deno, Bun, and Node 20, which lacks the `Uint8Array` methods and gets the same results out of
 * `atob`.
 */

/** Padded standard base64. */
export function toBase64(bytes: Uint8Array): string {
  return native ? bytes.toBase64() : toBase64Plain(bytes);
}

/** The bytes of padded standard base64; `undefined` for anything else, white space included. */
export function fromBase64(text: string): Uint8Array | undefined {
  return native ? fromBase64Native(text) : fromBase64Plain(text);
}

/** As `toBase64`, without the platform's own method. Public for its test. */
export function toBase64Plain(bytes: Uint8Array): string {
  let binary = "";
  // The arguments of one call are bounded by the platform's stack.
  for (let at = 0; at < bytes.length; at += 8192) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(binary);
}

/** As `fromBase64`, without the platform's own method. Public for its test. */
export function fromBase64Plain(text: string): Uint8Array | undefined {
  try {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    // `atob` is forgiving, so only bytes that encode to the same text were well-formed.
    return toBase64Plain(bytes) === text ? bytes : undefined;
  } catch {
    return undefined;
  }
}

// --- internal ---

const native = "toBase64" in Uint8Array.prototype && "fromBase64" in Uint8Array;

function fromBase64Native(text: string): Uint8Array | undefined {
  try {
    const bytes = Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
    // The platform skips white space, which shows in the length.
    return text.length === Math.ceil(bytes.length / 3) * 4 ? bytes : undefined;
  } catch {
    return undefined;
  }
}
