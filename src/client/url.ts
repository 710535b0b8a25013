/**
 * The address of a server as people write it: `http://host:port/prefix`, `host:port`, `:port`.
 * Knows no environment: the caller says what the default is.
 */

import { KvError } from "../errors.ts";
import { quote } from "../text.ts";

/** The port that `kv serve` takes and that an address without scheme and port means. */
export const DEFAULT_PORT = 5000;

/** Where a client looks when it is told nothing. */
export const DEFAULT_URL = `http://127.0.0.1:${DEFAULT_PORT}`;

export interface ServerUrl {
  /** Scheme, host, port and path prefix, without a slash at the end: `http://127.0.0.1:5000`. */
  readonly http: string;
  /** The same for WebSocket: `ws://127.0.0.1:5000`. */
  readonly socket: string;
  /** Is the server on this machine? Then no proxy may stand in between. */
  readonly loopback: boolean;
}

/**
 * Understands `http://…`, `https://…`, `host`, `host:port`, `:port` (this machine), each with a
 * path prefix if a proxy needs one. An IPv6 address stands in brackets.
 * @throws `invalid_argument` that says what is wrong with it.
 */
export function parseServerUrl(text: string): ServerUrl {
  const address = text.trim();
  const fail = (why: string): never => {
    throw new KvError("invalid_argument", `the server address ${quote(text)} ${why}`);
  };
  if (address === "") fail(`is empty; write one like ${DEFAULT_URL}`);
  if (/^\d+$/.test(address)) fail(`is only a number; did you mean ":${address}"?`);
  const { scheme, authority, path } = split(address, fail);
  if (authority.includes("@")) {
    // A password may stand in it, so this message does not repeat the address.
    const why = "the server address has a user name in it; credentials do not belong in a URL";
    throw new KvError("invalid_argument", why);
  }
  if (/[?#]/.test(path + authority)) fail("has a query or fragment; leave it out");
  if (/[\s\\]/.test(path + authority)) fail("has a space or backslash in it");
  const { host, port } = splitAuthority(authority, fail);
  const url = parse(`${scheme ?? "http"}://${host}${port}${path}`) ?? fail("is not a valid URL");
  if (scheme === undefined && port === "") url.port = String(DEFAULT_PORT);
  const prefix = url.pathname.replace(/\/+$/, "");
  return {
    http: `${url.protocol}//${url.host}${prefix}`,
    socket: `${url.protocol === "https:" ? "wss:" : "ws:"}//${url.host}${prefix}`,
    loopback: isLoopback(url.hostname),
  };
}

// --- internal ---

type Fail = (why: string) => never;

interface Parts {
  readonly scheme?: string;
  /** Host and port. */
  readonly authority: string;
  /** Empty, or from its first slash on. */
  readonly path: string;
}

function split(address: string, fail: Fail): Parts {
  const match = /^(?:([^/?#]*?):\/\/)?([^/?#]*)(.*)$/s.exec(address)!;
  const [, given, authority = "", path = ""] = match;
  const scheme = given?.toLowerCase();
  if (scheme !== undefined && scheme !== "http" && scheme !== "https") {
    fail(`has the scheme ${quote(scheme)}; kv is reached by http:// or https://`);
  }
  if (authority === "") fail(`names no host; write one like ${DEFAULT_URL}`);
  return scheme === undefined ? { authority, path } : { scheme, authority, path };
}

/** `port` is empty or has its colon. */
function splitAuthority(authority: string, fail: Fail): { host: string; port: string } {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority)!;
  const [, name = "", digits] = match;
  if (name.startsWith("[") && !name.endsWith("]")) fail("has a bracket that is not closed");
  if (digits !== undefined && !name.startsWith("[") && digits.includes(":")) {
    fail("has several colons; write an IPv6 address in brackets, like [::1]:5000");
  }
  if (digits !== undefined && !(/^\d{1,5}$/.test(digits) && +digits >= 1 && +digits <= 65_535)) {
    fail(`has the port ${quote(digits)}; a port is a number from 1 to 65535`);
  }
  if (name === "" && digits === undefined) fail("names no host");
  // The URL standard reads a number as an IPv4 address: 5000 would be 0.0.19.136.
  if (/^\d+$/.test(name)) fail(`has a number for a host; did you mean ":${name}"?`);
  return {
    host: name === "" ? "127.0.0.1" : name,
    port: digits === undefined ? "" : `:${digits}`,
  };
}

function parse(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** `host` as the URL parser normalises it; 0.0.0.0 and [::] reach this machine too. */
function isLoopback(host: string): boolean {
  if (host === "localhost" || host.endsWith(".localhost")) return true;
  if (/^127(\.\d+){3}$/.test(host) || host === "0.0.0.0") return true;
  return host === "[::1]" || host === "[::]" || host.startsWith("[::ffff:7f");
}
