/** The flags that every client command has, and the client made from them. */

import type { ArgsDef } from "citty";
import { HttpTransport } from "../client/http-transport.ts";
import type { KvClient } from "../client/index.ts";
import { parseServerUrl } from "../client/url.ts";
import { serverUrl } from "./server-url.ts";
import { parseMilliseconds } from "./values.ts";

export const connectionFlags = {
  url: {
    type: "string",
    valueHint: "URL",
    description: "the server: http://host:5000, host:5000 or :5000",
  },
  timeout: {
    type: "string",
    valueHint: "TIME",
    default: "10s",
    description: "give up when no answer came for this long: 500ms, 10s (the default), 2m",
  },
} as const satisfies ArgsDef;

export const connectionEnvironment = {
  KV_URL: "the server, when --url is not given",
  KV_PORT: "the port on this machine, when neither is given (5000 by default)",
} as const;

interface ConnectionArguments {
  readonly url?: string | undefined;
  readonly timeout: string;
}

/**
 * A client for the flags. Nothing is sent yet. @throws `UsageError` for an address that is none.
 */
export async function connectByFlags(args: ConnectionArguments): Promise<KvClient> {
  const { url, timeoutMs } = parseConnection(args);
  const { connect } = await import("../client/index.ts");
  return connect(url, { timeoutMs });
}

/**
 * As `connectByFlags`, for a command that needs what the SDK has no method for, or so little of it
 * that most of its time would go into loading the rest.
 */
export function transportByFlags(args: ConnectionArguments): HttpTransport {
  const { url, timeoutMs } = parseConnection(args);
  return new HttpTransport(parseServerUrl(url), { timeoutMs });
}

// --- internal ---

function parseConnection(args: ConnectionArguments): { url: string; timeoutMs: number } {
  const timeoutMs = parseMilliseconds("--timeout", args.timeout);
  return { url: serverUrl(args.url), timeoutMs };
}
