/** The handler without a server: its context in the open, and the time limits it asks for written down. */

import { makeGuard } from "../../src/http/guard.ts";
import { makeHandler, type Handler } from "../../src/http/handler.ts";
import type { Context, HttpServer } from "../../src/http/route.ts";
import { WatchStreams } from "../../src/http/watch-streams.ts";
import {
  CONNECTION_IDLE_SECONDS,
  STREAM_HEARTBEAT_MS,
  STREAM_IDLE_SECONDS,
} from "../../src/limits.ts";
import { Hub } from "../../src/watch/hub.ts";
import { KeyWaits } from "../../src/watch/key-waits.ts";
import { openFaulty, type FaultyStore } from "./faulty-store.ts";

export interface HandlerBench {
  readonly store: FaultyStore;
  readonly context: Context;
  /** Answers a request for a path. */
  answer(path: string, init?: RequestInit): ReturnType<Handler>;
  /** Seconds, as they were set for connections; 0 = none. */
  readonly limits: number[];
}

/** `options` replace what the context has by default. */
export function openHandlerBench(options: Partial<Context> = {}): HandlerBench {
  const store = openFaulty();
  const limits: number[] = [];
  const server = { timeout: (_: Request, seconds: number) => limits.push(seconds) };
  const context: Context = {
    store,
    version: "1.2.3",
    startedAt: 0,
    idleSeconds: CONNECTION_IDLE_SECONDS,
    streamIdleSeconds: STREAM_IDLE_SECONDS,
    bodies: { bytes: 0 },
    streams: { count: 0 },
    snapshots: { count: 0 },
    waits: new KeyWaits(store),
    hub: new Hub({ store }),
    watchStreams: new WatchStreams(),
    heartbeatMs: STREAM_HEARTBEAT_MS,
    upgrade: () => undefined,
    stopping: () => false,
    onError: () => undefined,
    ...options,
  };
  const handler = makeHandler({ context, guard: makeGuard([], []) });
  const answer: HandlerBench["answer"] = (path, init) =>
    handler(new Request(`http://localhost${path}`, init), server as unknown as HttpServer);
  return { store, context, answer, limits };
}
