/**
 * Who may speak to the server: the rule on `Host` keeps a web page from reaching it under a name of
 * its own (DNS rebinding), the rule on `Origin` keeps other sites' pages out, and CORS lets chosen
 * ones in.
 */

import { KvError } from "../errors.ts";
import { HEADERS, PATHS } from "../protocol.ts";
import { quote } from "../text.ts";

export interface Guard {
  /**
   * Checks a request to `path`. Answers its origin when that is one of the allowed foreign ones and
   * the answer needs CORS headers. Throws `permission_denied`, `invalid_argument`.
   */
  check(headers: Headers, path: string): string | undefined;
}

/**
 * `allowedHosts` are names, each with or without a port, that `Host` may have besides the local
 * ones; `allowedOrigins` are origins as browsers send them (`https://app.example.com`).
 * @throws `invalid_argument` for one that could never match.
 */
export function makeGuard(
  allowedHosts: readonly string[],
  allowedOrigins: readonly string[],
): Guard {
  const hosts = new Set(allowedHosts.map(normaliseHost));
  const origins = new Set(allowedOrigins.map(normaliseOrigin));
  let lastHost: string | undefined;
  return {
    check(headers, path) {
      const host = headers.get("host");
      // A client sends the same Host all the time: one comparison then.
      if (host !== null && host !== lastHost && path !== PATHS.live && path !== PATHS.ready) {
        checkHost(host, hosts);
        lastHost = host;
      }
      const origin = headers.get("origin");
      if (origin === null || !isApi(path)) return undefined;
      if (origins.has(origin.toLowerCase())) return origin;
      if (isOwnOrigin(origin, host)) return undefined;
      throw new KvError(
        "permission_denied",
        `pages of the origin ${quote(origin)} may not use this server; --allowed-origins lets one in`,
      );
    },
  };
}

/** Headers that let a page of `origin` read the answer. */
export function addCors(response: Response, origin: string): void {
  response.headers.set("Access-Control-Allow-Origin", origin);
  response.headers.set("Access-Control-Expose-Headers", EXPOSED);
  response.headers.append("Vary", "Origin");
}

// --- internal ---

const EXPOSED = ["ETag", "Retry-After", "Allow", ...Object.values(HEADERS)]
  .filter((name) => name !== HEADERS.ttl)
  .join(", ");

const LOCAL_SUFFIX = /\.(localhost|local|internal|lan|home\.arpa|svc|test)$/;

/** A name or IPv4 address, or an IPv6 address in brackets; then perhaps a port. */
const HOST = /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?$/;

function checkHost(host: string, allowed: ReadonlySet<string>): void {
  // HTTP/1.1 sends an empty Host where the target has no authority; no browser does.
  if (host === "") return;
  const parts = HOST.exec(host);
  if (parts === null) {
    throw new KvError("invalid_argument", `the Host header ${quote(host)} is no host and port`);
  }
  const name = parts[1]!.toLowerCase().replace(/\.$/, "");
  if (name.startsWith("[") || isIpv4(name) || !name.includes(".") || LOCAL_SUFFIX.test(name))
    return;
  if (allowed.has(name) || allowed.has(`${name}:${parts[2] ?? ""}`)) return;
  throw new KvError(
    "permission_denied",
    `this server does not answer to the name ${quote(name)}; start it with --allowed-hosts ${name}`,
  );
}

function isIpv4(name: string): boolean {
  const numbers = name.split(".");
  return (
    numbers.length === 4 && numbers.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && +part < 256)
  );
}

/** Same host and port; the scheme is not compared, for TLS may end in front of the server. */
function isOwnOrigin(origin: string, host: string | null): boolean {
  const parts = /^(https?):\/\/([^/]+)$/i.exec(origin);
  if (parts === null || !host) return false;
  const defaultPort = parts[1]!.toLowerCase() === "http" ? /:80$/ : /:443$/;
  const drop = (authority: string) => authority.toLowerCase().replace(defaultPort, "");
  return drop(parts[2]!) === drop(host);
}

function isApi(path: string): boolean {
  return path.startsWith("/v1/") || path === "/v1";
}

function normaliseHost(host: string): string {
  if (HOST.test(host)) return host.toLowerCase().replace(/\.$/, "");
  throw new KvError(
    "invalid_argument",
    `an allowed host is a name like kv.example.com, with or without a port; not ${quote(host)}`,
  );
}

function normaliseOrigin(origin: string): string {
  if (origin === "null") return origin;
  // Browsers leave a default port out.
  const parts = /^(https?:\/\/[^/*\s]+?)(:80|:443)?$/i.exec(origin);
  if (parts !== null) {
    const [, start, port = ""] = parts;
    const isDefault = port === (/^https:/i.test(origin) ? ":443" : ":80");
    return (isDefault ? start! : start! + port).toLowerCase();
  }
  if (/^[a-z][a-z0-9+.-]*:\/\/[^/*\s]+$/i.test(origin)) return origin.toLowerCase();
  throw new KvError(
    "invalid_argument",
    `an allowed origin looks like https://app.example.com; not ${quote(origin)}`,
  );
}
