/** A server over a store on a port of its own, and what tests of HTTP ask of it again and again. */

import { expect } from "bun:test";
import { join } from "node:path";
import type { ErrorCode } from "../../src/errors.ts";
import type { JsonError } from "../../src/json.ts";
import type { Store } from "../../src/kv.ts";
import { openLog } from "../../src/log/engine.ts";
import { startServer, type RunningServer, type ServerOptions } from "../../src/http/server.ts";
import { sendRaw, type RawAnswer } from "./raw-http.ts";
import { temporaryDirectory } from "./temporary.ts";

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly store: Store;
  /** Faults that were reported; none are expected unless a test says so. */
  readonly errors: readonly unknown[];
  /** `fetch` of a path. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  raw(...parts: (string | Uint8Array)[]): Promise<RawAnswer | undefined>;
  stop(): Promise<void>;
}

/** On a store of its own in a temporary directory, or the one given. Stopping closes the store too. */
export async function startTestServer(
  options: Partial<Omit<ServerOptions, "onError">> = {},
): Promise<TestServer> {
  const directory = temporaryDirectory();
  const store = options.store ?? (await openLog({ directory: join(directory.path, "data") }));
  const errors: unknown[] = [];
  const close = async (): Promise<void> => {
    await store.close();
    directory.remove();
  };
  const server = await start({ ...options, store, onError: (error) => errors.push(error) }, close);
  const stop = async (): Promise<void> => {
    await server.stop();
    await close();
  };
  return {
    url: server.url,
    port: server.port,
    store,
    errors,
    fetch: (path, init) => fetch(server.url + path, init),
    raw: (...parts) => sendRaw(server.port, ...parts),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** What a refusal must be: its status and code, and a message that says what to do. */
export interface Refusal {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: RegExp | string;
}

/** Expects the answer of `request` to be the refusal, and the store to be as it was. */
export async function expectRefusal(
  server: TestServer,
  request: () => Promise<Response | RawAnswer | undefined>,
  refusal: Refusal,
): Promise<JsonError["error"]> {
  const before = await snapshot(server.store);
  const answer = await request();
  const text = answer instanceof Response ? await answer.text() : (answer?.body ?? "no answer");
  const { error } = JSON.parse(text) as JsonError;
  expect({ status: answer?.status, code: error.code }).toEqual({
    status: refusal.status,
    code: refusal.code,
  });
  if (typeof refusal.message === "string") expect(error.message).toContain(refusal.message);
  else expect(error.message).toMatch(refusal.message);
  expect(text.endsWith("}\n")).toBe(true);
  expect(error.message).not.toContain("\n");
  expect(await snapshot(server.store)).toEqual(before);
  return error;
}

// --- internal ---

type Started = Partial<ServerOptions> & Pick<ServerOptions, "store">;

async function start(options: Started, close: () => Promise<void>): Promise<RunningServer> {
  try {
    return startServer({ host: "127.0.0.1", port: 0, version: "1.2.3", ...options });
  } catch (error) {
    await close();
    throw error;
  }
}

async function snapshot(store: Store): Promise<unknown> {
  const { revision, keys } = await store.status();
  const { entries } = await store.list({}, { keys: true });
  return { revision, keys, entries };
}
