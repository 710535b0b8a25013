/** The table of all routes, and the way through it: path, then method. */

import { KvError } from "../errors.ts";
import { didYouMean, quote } from "../text.ts";
import { changeRoutes } from "./change-routes.ts";
import { getRoute } from "./get-route.ts";
import { historyRoutes } from "./history-routes.ts";
import { keyRoutes } from "./key-routes.ts";
import { answersHead, openapiRoute } from "./openapi.ts";
import { rangeRoutes } from "./range-routes.ts";
import type { Route } from "./route.ts";
import { snapshotRoute } from "./snapshot-route.ts";
import { systemRoutes } from "./system-routes.ts";
import { KEY_PATH_STARTS } from "./target.ts";
import { txnRoute } from "./txn-route.ts";
import { watchRoute } from "./watch-route.ts";

export const ROUTES: readonly Route[] = [
  getRoute,
  ...keyRoutes,
  ...rangeRoutes,
  ...changeRoutes,
  txnRoute,
  ...historyRoutes,
  watchRoute,
  snapshotRoute,
  ...systemRoutes,
  openapiRoute(() => ROUTES),
];

/** What can be done at one path. */
export interface Resource {
  readonly path: string;
  /** What its path begins with, where a key follows. */
  readonly keyStart: string | undefined;
  /** By method; HEAD is the route of GET. */
  readonly routes: ReadonlyMap<string, Route>;
  /** The value of an `Allow` header. */
  readonly allow: string;
  /** The value of an `Access-Control-Allow-Headers` header. */
  readonly allowHeaders: string;
}

/** One whose paths end in a key. */
export interface KeyedResource extends Resource {
  readonly keyStart: string;
}

const resources = new Map<string, Resource>(
  [...new Set(ROUTES.map((route) => route.path))].map((path) => [path, makeResource(path)]),
);

/** Those whose paths end in a key. */
export const KEYED_RESOURCES: readonly KeyedResource[] = KEY_PATH_STARTS.map((keyStart) => ({
  ...resources.get(`${keyStart}{key}`)!,
  keyStart,
}));

/** The resource at a path as it stands in the URL. Throws `unknown_path`. */
export function findResource(path: string): Resource {
  const keyed = KEYED_RESOURCES.find(({ keyStart }) => path.startsWith(keyStart));
  if (keyed !== undefined) return keyed;
  const resource = resources.get(path);
  if (resource !== undefined) return resource;
  throw new KvError(
    "unknown_path",
    `there is nothing at ${quote(path)}${didYouMean(path, [...resources.keys()])}`,
  );
}

// --- internal ---

function makeResource(path: string): Resource {
  const routes = new Map<string, Route>();
  const headers = new Set(["Content-Type"]);
  for (const route of ROUTES) {
    if (route.path !== path) continue;
    routes.set(route.method, route);
    for (const name of Object.keys(route.headers ?? {})) headers.add(name);
    if (answersHead(route)) routes.set("HEAD", route);
  }
  return {
    path,
    keyStart: KEY_PATH_STARTS.find((start) => path === `${start}{key}`),
    routes,
    allow: [...routes.keys(), "OPTIONS"].join(", "),
    allowHeaders: [...headers].join(", "),
  };
}
