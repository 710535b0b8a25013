/**
 * What a failed request means for the caller. The line that matters: a write that surely was not
 * sent is
 * `unavailable`, one that may have been is `outcome_unknown`. In doubt it may have been.
 */

import { KvError, type ErrorCode } from "../errors.ts";
import { quote } from "../text.ts";

/** What a failure is told about. */
export interface Attempt {
  /** The server's address. */
  readonly url: string;
  /** Does the request change anything? */
  readonly write: boolean;
}

/** `fetch` rejected, or the answer's body broke off. */
export function connectionFailed(attempt: Attempt, cause: unknown): KvError {
  const { url, write } = attempt;
  const code = codeOf(cause);
  if (code === "ECONNREFUSED") {
    const hint = "is it running, and is this its address?";
    return new KvError("unavailable", `no server listens at ${url}; ${hint}`, {}, cause);
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    const host = quote(new URL(url).hostname);
    return new KvError("unavailable", `the host ${host} of ${url} is not known`, {}, cause);
  }
  if (isNotHttp(code)) return notKv(attempt, "it does not speak HTTP", cause);
  const reason = code ?? innerMessageOf(cause);
  if (wasNotSent(cause, code)) {
    if (url.startsWith("https:") && isNotTls(code)) {
      const hint = "if that server speaks plain HTTP, write http:// in its address";
      const message = `the TLS handshake with ${url} failed (${reason}); ${hint}`;
      return new KvError("unavailable", message, {}, cause);
    }
    return new KvError("unavailable", `cannot connect to ${url} (${reason})`, {}, cause);
  }
  return lost(write, `the connection to ${url} broke before the answer came (${reason})`, cause);
}

/** The time for the request ran out. */
export function timedOut(attempt: Attempt, timeoutMs: number): KvError {
  return lost(attempt.write, `no answer from ${attempt.url} within ${timeoutMs / 1000} s`);
}

/** A connection ended that others had opened before; nobody says why. */
export function connectionLost({ url, write }: Attempt): KvError {
  return lost(write, `the connection to ${url} broke before the answer came`);
}

/** What was before it on the same way has failed. */
export function notSent({ url }: Attempt, cause: KvError): KvError {
  const message = `not sent to ${url}, as something before it failed: ${cause.message}`;
  return new KvError("unavailable", message, {}, cause);
}

/**
 * Something answered that is not kv. A gateway's own 5xx may hide that the server behind it took
 * the write; any other answer shows that no kv was reached.
 */
export function answeredByOther(
  attempt: Attempt,
  status: number,
  contentType: string | null,
): KvError {
  const what = `status ${status}, ${contentType ?? "no content type"}`;
  if (attempt.write && status >= 500) {
    return lost(true, `a gateway answered for the server at ${attempt.url} (${what})`);
  }
  return notKv(attempt, what);
}

/**
 * kv answered that it has no such path. A client asks for none but kv's own, so what stands before
 * them in the address is likely wrong; all paths that the server knows would not help.
 */
export function pathUnknown({ url }: Attempt, error: KvError): KvError {
  const { origin, pathname } = new URL(url);
  if (pathname === "/") return error;
  const message = `kv answers at ${origin}, but not below ${quote(pathname)}`;
  const hint = "the path prefix of the address may be wrong";
  return new KvError("unknown_path", `${message}; ${hint}`, {}, error);
}

/** A redirect is not followed: a write must go where the caller said. */
export function redirected(attempt: Attempt, status: number, location: string | null): KvError {
  const where = location === null ? "elsewhere" : `to ${quote(location)}`;
  const what = `the server at ${attempt.url} redirects ${where} (status ${status})`;
  return new KvError("unavailable", `${what}; use that address`);
}

/** A message that is none of kv's. */
export function unreadable(url: string, what = "an answer that is none of kv's"): KvError {
  return notKv({ url, write: false }, what);
}

/** Would another attempt meet the same refusal? */
export function isLasting({ code }: KvError): boolean {
  return LASTING.has(code);
}

/** The client was closed. */
export function closed(): KvError {
  return new KvError("unavailable", "the client is closed");
}

// --- internal ---

const LASTING: ReadonlySet<ErrorCode> = new Set([
  "compacted",
  "invalid_argument",
  "too_large",
  "unauthenticated",
  "permission_denied",
  "unsupported",
]);

function notKv(attempt: Attempt, what: string, cause?: unknown): KvError {
  const message = `the server at ${attempt.url} does not answer like kv (${what})`;
  return new KvError("unavailable", `${message}; is this its address?`, {}, cause);
}

function lost(write: boolean, message: string, cause?: unknown): KvError {
  if (!write) return new KvError("unavailable", message, {}, cause);
  return new KvError("outcome_unknown", `${message}; the write may have been applied`, {}, cause);
}

/** Bun has the code on the error, Node on its cause; browsers have none. */
function codeOf(error: unknown): string | undefined {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } };
  if (typeof code === "string") return code;
  return typeof cause?.code === "string" ? cause.code : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Node's own message is "fetch failed"; its cause knows more. */
function innerMessageOf(error: unknown): string {
  const { cause } = (error ?? {}) as { cause?: unknown };
  return messageOf(cause instanceof Error ? cause : error);
}

function isNotHttp(code: string | undefined): boolean {
  return code === "Malformed_HTTP_Response" || (code?.startsWith("HPE_") ?? false);
}

/** Of the bytes that answered, not of the certificate. */
function isNotTls(code: string | undefined): boolean {
  return code === "EPROTO" || code === "ERR_SSL_WRONG_VERSION_NUMBER";
}

/** Only what can happen before the first byte of the request leaves. */
function wasNotSent(error: unknown, code: string | undefined): boolean {
  const { cause } = (error ?? {}) as { cause?: { syscall?: unknown } };
  if (cause?.syscall === "connect" || code === "UND_ERR_CONNECT_TIMEOUT") return true;
  // Ports of other protocols, which the standard of fetch does not allow.
  if (innerMessageOf(error) === "bad port") return true;
  if (code === "EPROTO" && messageOf(error).includes("handshake")) return true;
  return /CERT|ERR_TLS|ERR_SSL_WRONG_VERSION|ERR_INVALID_URL/.test(code ?? "");
}
