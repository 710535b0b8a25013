/** The flags of `kv serve`, each of which can stand in the environment as well. A flag wins. */

import type { ArgsDef } from "citty";
import { dataEnvironment, dataFlag, parseData } from "./data-flag.ts";
import { UsageError } from "./failure.ts";
import { defaultPort } from "./server-url.ts";
import {
  parseStorageOptions,
  storageEnvironment,
  storageFlags,
  type StorageOptions,
} from "./storage-options.ts";
import { environment, parseInteger, parseNames } from "./values.ts";

export const serveFlags = {
  host: {
    type: "string",
    valueHint: "HOST",
    description: "the address to listen on; 127.0.0.1 by default, which only this machine reaches",
  },
  port: {
    type: "string",
    valueHint: "PORT",
    description: "the port to listen on; 5000 by default, 0 for any free one",
  },
  ...dataFlag("where the data is kept; ./kv-data by default, made when it is not there"),
  ...storageFlags,
  "allowed-hosts": {
    type: "string",
    valueHint: "NAMES",
    description: "further names, with commas between, under which browsers may reach the server",
  },
  "allowed-origins": {
    type: "string",
    valueHint: "ORIGINS",
    description: "origins of web pages, with commas between, that may use the API",
  },
} as const satisfies ArgsDef;

export const serveEnvironment = {
  KV_HOST: "as --host",
  KV_PORT: "as --port",
  ...dataEnvironment,
  ...storageEnvironment,
  KV_ALLOWED_HOSTS: "as --allowed-hosts",
  KV_ALLOWED_ORIGINS: "as --allowed-origins",
} as const;

export interface ServeOptions {
  readonly host: string;
  readonly port: number;
  /** An absolute path. */
  readonly directory: string;
  readonly storage: StorageOptions;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
}

type ServeArguments = { readonly [Name in keyof typeof serveFlags]?: string | undefined };

/** @throws `UsageError`. */
export function parseServeOptions(args: ServeArguments): ServeOptions {
  const { host, port } = args;
  if (host === "") throw new UsageError("--host is empty");
  return {
    host: host ?? environment("KV_HOST") ?? "127.0.0.1",
    port: port === undefined ? defaultPort(0) : parseInteger("--port", port, 0, 65_535),
    directory: parseData(args.data),
    storage: parseStorageOptions(args),
    allowedHosts: parseNames(args["allowed-hosts"] ?? environment("KV_ALLOWED_HOSTS") ?? ""),
    allowedOrigins: parseNames(args["allowed-origins"] ?? environment("KV_ALLOWED_ORIGINS") ?? ""),
  };
}

/** Is the host one that only this machine reaches? */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}
