/** A kv server over a model whose connections for frames do what a test says, frame by frame. */

import { AnswerWriter } from "../../src/binary-answer.ts";
import { RequestColumns } from "../../src/binary-request.ts";
import { manyOneByOne } from "../../src/http/many-one-by-one.ts";
import { startServer } from "../../src/http/server.ts";
import { SUBPROTOCOL } from "../../src/protocol.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";

/**
 * What becomes of a frame: it is done and answered; done and not answered; the connection breaks
 * before it is done, or after; or this is its answer.
 */
export type Fate = "answer" | "silence" | "break" | "lose" | { readonly send: string | Uint8Array };

export interface FrameServerOptions {
  /** Asked for each frame, counted from 0; all are answered when left out. */
  readonly fate?: (frame: number) => Fate;
  /** The subprotocol that is selected; none = the upgrade is refused, `late` = it never comes. */
  readonly protocol?: string;
  readonly store?: ModelStore;
}

export interface FrameServer extends AsyncDisposable {
  readonly url: string;
  readonly store: ModelStore;
  /** Operations of each frame that came. */
  readonly frames: readonly number[];
  /** Requests that came, as method and path; upgrades are none of them. */
  readonly requests: readonly string[];
  /** Connections for frames that were made, and those of them that are open. */
  readonly made: number;
  readonly open: number;
}

export function startFrameServer(options: FrameServerOptions = {}): FrameServer {
  const { fate = () => "answer", protocol = SUBPROTOCOL, store = openModel() } = options;
  const frames: number[] = [];
  const requests: string[] = [];
  const count = { made: 0, open: 0 };
  const behind = startServer({ store, host: "127.0.0.1", port: 0, onError: () => {} });
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request, server) {
      const { pathname, search } = new URL(request.url);
      if (pathname === "/v1/ws") {
        if (protocol === "late") await new Promise(() => {});
        if (protocol === "none") return new Response("no such thing", { status: 403 });
        server.upgrade(request, { headers: { "Sec-WebSocket-Protocol": protocol } });
        return undefined;
      }
      requests.push(`${request.method} ${pathname}`);
      const { method, headers, body } = request;
      return fetch(behind.url + pathname + search, { method, headers, body });
    },
    websocket: {
      open: () => {
        count.made++;
        count.open++;
      },
      close: () => void count.open--,
      async message(socket, message) {
        const columns = new RequestColumns();
        columns.decode(message as Buffer);
        const chosen = fate(frames.push(columns.count) - 1);
        if (chosen === "break") return socket.terminate();
        if (typeof chosen === "object") return void socket.send(chosen.send);
        const writer = new AnswerWriter(() => {});
        writer.begin(columns.id);
        await manyOneByOne(store, columns, writer);
        if (chosen === "lose") socket.terminate();
        else if (chosen === "answer") socket.send(writer.end());
      },
    },
  });
  const stop = async (): Promise<void> => {
    await server.stop(true);
    await behind.stop();
  };
  return {
    url: `http://127.0.0.1:${server.port}`,
    store,
    frames,
    requests,
    get made() {
      return count.made;
    },
    get open() {
      return count.open;
    },
    [Symbol.asyncDispose]: stop,
  };
}
