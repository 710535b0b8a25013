/** A server of watches over HTTP whose every line a test writes by hand. */

import type { WatchFrame } from "../../src/messages.ts";
import { PATHS } from "../../src/protocol.ts";
import { until } from "./until.ts";

export interface ScriptedStream {
  /** The parameters that were asked with, in their order: `key=a&from=5`. */
  readonly query: string;
  /** Has the client let go of it? */
  readonly isCancelled: boolean;
  send(...frames: WatchFrame[]): void;
  /** Sends bytes or text as they are. */
  write(piece: string | Uint8Array): void;
  /** Ends the answer as if it were whole. */
  end(): void;
}

export interface ScriptedStreams extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly streams: readonly ScriptedStream[];
  /** Questions for the revision of the store, so far. */
  readonly questions: number;
  /** What they are answered; no answer comes while it is `undefined`. */
  revision: number | undefined;
  /** Waits for the stream of this number, counted from 0. */
  stream(index: number): Promise<ScriptedStream>;
}

/** `refuse` answers instead of a stream, as long as it has something. */
export function startScriptedStreams(
  refuse: () => Response | undefined = () => undefined,
): ScriptedStreams {
  const streams: Stream[] = [];
  let questions = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch(request) {
      const { pathname, search } = new URL(request.url);
      if (pathname !== PATHS.watch) {
        questions++;
        const { revision } = scripted;
        if (revision === undefined) return new Promise<Response>(() => {});
        return Response.json({ revision, entries: [] });
      }
      const refusal = refuse();
      if (refusal !== undefined) return refusal;
      const stream = new Stream(search.slice(1));
      streams.push(stream);
      return new Response(stream.body, { headers: { "Content-Type": "application/x-ndjson" } });
    },
  });
  const scripted: ScriptedStreams = {
    url: `http://127.0.0.1:${server.port}`,
    port: server.port!,
    streams,
    get questions() {
      return questions;
    },
    revision: 1,
    async stream(index) {
      await until(() => streams.length > index);
      return streams[index]!;
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return scripted;
}

// --- internal ---

class Stream implements ScriptedStream {
  readonly query: string;
  readonly body: ReadableStream<Uint8Array>;
  isCancelled = false;
  #controller!: ReadableStreamDefaultController<Uint8Array>;

  constructor(query: string) {
    this.query = query;
    this.body = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.isCancelled = true;
      },
    });
  }

  send(...frames: WatchFrame[]): void {
    this.write(frames.map((frame) => `${JSON.stringify(frame)}\n`).join(""));
  }

  write(piece: string | Uint8Array): void {
    this.#controller.enqueue(typeof piece === "string" ? Buffer.from(piece) : piece);
  }

  end(): void {
    this.#controller.close();
  }
}
