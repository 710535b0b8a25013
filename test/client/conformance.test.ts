/** The suite of stores over the wire: a real server, over the log engine and over one with gaps. */

import { afterAll, beforeAll, describe, test } from "bun:test";
import { openRemoteStore, type RemoteStoreOptions } from "../../src/client/remote-store.ts";
import { startServer } from "../../src/http/server.ts";
import type { Store } from "../../src/kv.ts";
import { openLog } from "../../src/log/engine.ts";
import { conformance } from "../store/conformance.ts";
import { changesSection } from "../store/sections/changes.ts";
import { sameAsModel } from "../store/same-as-model.ts";
import type { Opened } from "../store/subject.ts";
import { openModel } from "../support/model-store.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { temporaryDirectory } from "../support/temporary.ts";

conformance("the client over the log engine", openOverLog);

conformance("the client over a store with gaps", async () => {
  const behind = openModel({ revision: 1_000, step: 3, chunkCommitsMax: 2 });
  const { store, stop } = await serve(behind);
  return { store, close: stop };
});

// All else goes over HTTP anyway.
describe("conformance of the changes over HTTP streams", () => {
  let served: Awaited<ReturnType<typeof serve>>;
  let prefixes = 0;
  beforeAll(async () => {
    served = await serve(openModel({ chunkCommitsMax: 2 }), { transport: "http" });
  });
  afterAll(() => served.stop());
  changesSection({
    get store() {
      return served.store;
    },
    fresh: () => `changes-${++prefixes}/`,
  });
});

test(
  "random transactions give the same over the wire and on the model",
  () => sameAsModel(openOverLog, rounds(3), false),
  RANDOM_MS_MAX,
);

// --- internal ---

/** `stop` closes the client, the server and the store behind it. */
async function serve(
  behind: Store,
  options: RemoteStoreOptions = {},
): Promise<{ store: Store; stop(): Promise<void> }> {
  const server = startServer({ store: behind, host: "127.0.0.1", port: 0, progressMs: 10 });
  const store = await openRemoteStore(server.url, options);
  const stop = async (): Promise<void> => {
    await store.close();
    await server.stop();
    await behind.close();
  };
  return { store, stop };
}

async function openOverLog(): Promise<Opened> {
  const directory = temporaryDirectory();
  const open = async () => serve(await openLog({ directory: directory.path }));
  let opened = await open();
  return {
    store: opened.store,
    async close() {
      await opened.stop();
      directory.remove();
    },
    async reopen() {
      await opened.stop();
      opened = await open();
      return opened.store;
    },
  };
}
