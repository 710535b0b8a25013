/** What tests of the socket share: a connection at a time that stands, and writes that are held. */

import { expect } from "bun:test";
import type { CommitResult, Store, Txn } from "../../src/kv.ts";
import { openModel } from "../support/model-store.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";
import { startSocketServer } from "../support/socket-server.ts";

type Fields = Record<string, unknown>;

export interface SocketRig {
  /** What the clock shows, in milliseconds since 1970; it begins at noon of the first day of 2030. */
  now: number;
  readonly store: Store;
  readonly client: SocketClient;
  /** The fields of the result of a request, which must be one. */
  result(request: Fields): Promise<Fields>;
  /** The error that a request is answered with. */
  error(request: Fields): Promise<Fields>;
  /** Stops the server, which must have met no fault of its own. */
  end(): Promise<void>;
}

/** A connection to a server over a model whose clock stands until a test moves it. */
export async function openSocketRig(): Promise<SocketRig> {
  const store = openModel({ clock: () => rig.now, limits: { pageBytesMax: 1_000 } });
  const server = startSocketServer(store);
  const client = await openSocket(server.url, ["kv.v1"]);
  const answer = async (request: Fields, wanted: string): Promise<Fields> => {
    const { id: _, type, ...rest } = await client.request(request);
    expect({ request, type, rest }).toMatchObject({ request, type: wanted });
    return rest;
  };
  const rig: SocketRig = {
    now: Date.UTC(2030, 0, 1, 12),
    store,
    client,
    result: (request) => answer(request, "result"),
    error: async (request) => (await answer(request, "error"))["error"] as Fields,
    async end() {
      expect(server.errors).toEqual([]);
      await server.stop();
    },
  };
  return rig;
}

/** A model whose commits are evaluated at once and answered when the test lets them. */
export function holdCommits() {
  const store = openModel();
  const commit = store.commit.bind(store);
  const held: (() => void)[] = [];
  const calls: Txn[] = [];
  store.commit = async (txn: Txn): Promise<CommitResult> => {
    calls.push(txn);
    const result = commit(txn);
    await new Promise<void>((resolve) => held.push(resolve));
    return await result;
  };
  const release = (count = Infinity): void => {
    for (let at = 0; at < count && held.length > 0; at++) held.shift()!();
  };
  return { store, calls, held, release };
}

export async function until(test: () => boolean): Promise<void> {
  while (!test()) await Bun.sleep(1);
}

/** The answer to the request of this id. */
export function answerOf(client: SocketClient, id: number) {
  return client.until((message) => message["id"] === id);
}

/** Has the request of this id been answered? */
export function isAnswered(client: SocketClient, id: number): boolean {
  return client.messages.some((message) => message["id"] === id);
}
