/** The suite of stores over the wire, through a real server. */

import { openRemoteStore } from "../../src/client/remote-store.ts";
import { startServer } from "../../src/http/server.ts";
import { conformance } from "../store/conformance.ts";
import type { Opened } from "../store/subject.ts";
import { openModel } from "../support/model-store.ts";

conformance("the client over the wire", open);

// --- internal ---

async function open(): Promise<Opened> {
  const behind = openModel();
  const server = startServer({ store: behind, host: "127.0.0.1", port: 0, progressMs: 10 });
  const store = await openRemoteStore(server.url);
  const close = async (): Promise<void> => {
    await store.close();
    await server.stop();
    await behind.close();
  };
  return { store, close };
}
