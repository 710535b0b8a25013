/** The routes about the server itself: `/`, health, status, and the way to the WebSocket. */

import { KvError } from "../errors.ts";
import type { JsonStatus } from "../json.ts";
import type { Status } from "../kv.ts";
import { WATCHERS_LISTED_MAX } from "../limits.ts";
import { PATHS, SUBPROTOCOL } from "../protocol.ts";
import { json } from "./answers.ts";
import { flag } from "./parameters.ts";
import { STORE_ERRORS, defineRoute, type Call, type Route } from "./route.ts";
import { statusShape } from "./shapes.ts";

const PLAIN_TYPE = "text/plain; charset=utf-8";

const ok = { description: "It is.", body: { description: "ok", type: PLAIN_TYPE } };

const root = defineRoute({
  method: "GET",
  path: PATHS.root,
  id: "getWelcome",
  summary: "Name, version, revision, and three lines to try",
  parameters: {},
  answers: {
    200: {
      description: "A few lines of text.",
      body: { description: "For people.", type: PLAIN_TYPE },
    },
  },
  errors: STORE_ERRORS,
  async handle(call) {
    const { revision } = await call.context.store.status();
    return plain(welcome(call, revision));
  },
});

const live = defineRoute({
  method: "GET",
  path: PATHS.live,
  id: "getLive",
  summary: "Is the process alive?",
  parameters: {},
  answers: { 200: ok },
  errors: [],
  handle: () => plain("ok\n"),
});

const ready = defineRoute({
  method: "GET",
  path: PATHS.ready,
  id: "getReady",
  summary: "Does the store answer?",
  parameters: {},
  answers: { 200: ok },
  errors: ["internal", "unavailable"],
  async handle(call) {
    if (call.context.stopping()) throw new KvError("unavailable", "the server is stopping");
    await call.context.store.status();
    return plain("ok\n");
  },
});

const status = defineRoute({
  method: "GET",
  path: PATHS.status,
  id: "getStatus",
  summary: "The state of the store and the limits of the server",
  parameters: {
    watchers: flag("Name the watchers too."),
  },
  answers: {
    200: {
      description: "The state now.",
      body: { description: "The state.", type: "application/json", schema: statusShape },
    },
  },
  errors: STORE_ERRORS,
  async handle(call, { watchers = false }) {
    const { hub, store } = call.context;
    const answer = statusToJson(call, await store.status());
    if (!watchers) return json(200, answer);
    return json(200, { ...answer, watching: hub.describeWatchers(WATCHERS_LISTED_MAX) });
  },
});

const socket = defineRoute({
  method: "GET",
  path: PATHS.socket,
  id: "openSocket",
  summary: "Every operation and any number of watches on one WebSocket",
  parameters: {},
  headers: {
    "Sec-WebSocket-Protocol": `${SUBPROTOCOL} is selected when it is offered.`,
  },
  answers: { 101: { description: "The connection is a WebSocket now." } },
  errors: ["permission_denied"],
  handle: ({ context, request, server }) => context.upgrade(request, server),
});

export const systemRoutes: readonly Route[] = [root, live, ready, status, socket];

// --- internal ---

function plain(text: string): Response {
  return new Response(text, { headers: { "Content-Type": PLAIN_TYPE } });
}

function welcome({ context, request, server }: Call, revision: number): string {
  const host = request.headers.get("host") || `${server.hostname}:${server.port}`;
  const url = `http://${host}${PATHS.kv}`;
  return [
    `kv ${context.version}, revision ${revision}`,
    "",
    `curl -X PUT ${url}/greeting -d hello`,
    `curl ${url}/greeting`,
    `curl ${url}`,
    "",
  ].join("\n");
}

function statusToJson({ context }: Call, status: Status): JsonStatus {
  const { store, revision, oldest, keys, bytes, engine, durability, lag } = status;
  return {
    store,
    revision,
    oldest,
    keys,
    bytes,
    engine,
    durability,
    ...(lag === undefined ? undefined : { lag }),
    version: context.version,
    uptimeSeconds: Math.floor((Date.now() - context.startedAt) / 1000),
    watchers: context.hub.watchers,
    limits: context.store.limits,
    capabilities: context.store.capabilities,
  };
}
