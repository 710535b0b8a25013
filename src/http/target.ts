/**
 * The target of a request: its path and query, taken out of `request.url` as they stand there, and
 * the key in the path. The platform has already resolved dot segments and made `\` a `/`.
 */

import { KvError } from "../errors.ts";
import { checkKey } from "../keys.ts";
import { PATHS, percentDecode } from "../protocol.ts";

export interface Target {
  /** As it stands in the URL, escapes not decoded. */
  readonly path: string;
  /** What follows the first `?`, escapes not decoded; empty when there is none. */
  readonly query: string;
}

/** Every path that begins with one of these names a key. */
export const KEY_PATH_STARTS: readonly string[] = [
  `${PATHS.kv}/`,
  `${PATHS.incr}/`,
  `${PATHS.touch}/`,
  `${PATHS.history}/`,
];

/**
 * Path and query of `request.url`.
 * @throws `invalid_argument` for a target that is no path, or that has a fragment.
 */
export function readTarget(url: string): Target {
  const start = pathStart(url);
  // Without a usable Host header the platform hands over the raw target: the same normalisation
  // then.
  if (start < 0) return readTarget(normalise(url));
  if (url.includes("#")) {
    throw new KvError("invalid_argument", "the request target has a raw #; write it as %23");
  }
  const query = url.indexOf("?", start);
  if (query < 0) return { path: url.slice(start), query: "" };
  return { path: url.slice(start, query), query: url.slice(query + 1) };
}

/**
 * The key that a path names behind `start`, which is one of `KEY_PATH_STARTS`.
 * @throws `invalid_argument` or `too_large` when it is no valid key.
 */
export function keyOfPath(path: string, start: string): string {
  if (path.length === start.length) {
    throw new KvError(
      "invalid_argument",
      `${start} has no key behind it; GET ${PATHS.kv} lists keys`,
    );
  }
  const key = percentDecode(path.slice(start.length), "the key");
  checkKey(key);
  return key;
}

/**
 * For a request that was sent below `start` and that dot segments have moved elsewhere: answered as
 * anything but a refusal, it would touch what nobody named.
 */
export function movedOut(start: string): KvError {
  return new KvError(
    "invalid_argument",
    `the path has "." or ".." as a whole segment, which URLs resolve; it leads out of ${start}`,
  );
}

// --- internal ---

/** Where the path begins in an absolute URL; negative in anything else. */
function pathStart(url: string): number {
  return url.startsWith("http://") ? url.indexOf("/", "http://".length) : -1;
}

function normalise(target: string): string {
  if (target.startsWith("/")) {
    try {
      return new URL(`http://localhost${target}`).href;
    } catch {
      // Falls through: what the parser refuses is no path.
    }
  }
  throw new KvError("invalid_argument", "the request target is not a path that begins with /");
}
