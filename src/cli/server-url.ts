/**
 * Which server a command talks to: `--url`, else `KV_URL`, else this machine and `KV_PORT` or 5000.
 */

import { DEFAULT_PORT, parseServerUrl } from "../client/url.ts";
import { KvError } from "../errors.ts";
import { UsageError } from "./failure.ts";
import { environment, parseInteger } from "./values.ts";

/** The server's address without a slash at the end. @throws `UsageError`. */
export function serverUrl(flag: string | undefined): string {
  if (flag !== undefined) return parse("--url", flag);
  const variable = environment("KV_URL");
  if (variable !== undefined) return parse("KV_URL", variable);
  return `http://127.0.0.1:${defaultPort(1)}`;
}

/** `KV_PORT` or 5000; a server may also be told 0, for any free port. @throws `UsageError`. */
export function defaultPort(minimum: 0 | 1): number {
  const variable = environment("KV_PORT");
  return variable === undefined ? DEFAULT_PORT : parseInteger("KV_PORT", variable, minimum, 65_535);
}

// --- internal ---

function parse(source: string, text: string): string {
  try {
    return parseServerUrl(text).http;
  } catch (error) {
    if (error instanceof KvError) throw new UsageError(`${source}: ${error.message}`);
    throw error;
  }
}
