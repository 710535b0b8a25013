/**
 * A watch over HTTP as a client takes it, frame by frame: server-sent events, or a JSON object a line.
 * Strict: what is neither fails the test.
 */

import type { WatchFrame } from "../../src/messages.ts";
import { NDJSON_TYPE, SSE_TYPE } from "../../src/protocol.ts";

export type StreamTransport = "sse" | "ndjson";

/** A frame as it came; tests look at whichever fields they expect. `id` is there on SSE only. */
export type StreamFrame = Partial<Record<string, unknown>> & {
  type: WatchFrame["type"];
  id?: number;
};

export interface WatchStreamClient extends AsyncDisposable {
  readonly response: Response;
  /** What stood between the frames so far: comments of SSE. */
  readonly comments: readonly string[];
  /** Everything that came so far, as it came. */
  readonly text: () => string;
  /** The next frame; `undefined` at the end. Rejects when the connection breaks. */
  next(): Promise<StreamFrame | undefined>;
  /** Frames up to and with the first one for which the test holds. */
  until(holds: (frame: StreamFrame) => boolean): Promise<StreamFrame[]>;
  close(): void;
}

/** Opens `url` as a stream, which it must be. */
export async function openWatchStream(
  url: string,
  transport: StreamTransport = "ndjson",
  headers: Record<string, string> = {},
): Promise<WatchStreamClient> {
  const abort = new AbortController();
  const type = transport === "sse" ? SSE_TYPE : NDJSON_TYPE;
  const response = await fetch(url, {
    headers: { Accept: type, ...headers },
    signal: abort.signal,
  });
  if (response.headers.get("content-type") !== type) {
    throw new Error(`no stream: ${response.status} ${await response.text()}`);
  }
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  const comments: string[] = [];
  const separator = transport === "sse" ? "\n\n" : "\n";
  const read = transport === "sse" ? readEvent : readLine;
  let text = "";
  let at = 0;
  const next = async (): Promise<StreamFrame | undefined> => {
    for (;;) {
      const end = text.indexOf(separator, at);
      if (end >= 0) {
        const frame = read(text.slice(at, end), comments);
        at = end + separator.length;
        if (frame !== undefined) return frame;
        continue;
      }
      const { done, value } = await reader.read();
      if (value !== undefined) text += decoder.decode(value, { stream: true });
      if (!done) continue;
      if (at < text.length) throw new Error(`the stream ends within a frame: ${text.slice(at)}`);
      return undefined;
    }
  };
  return {
    response,
    comments,
    text: () => text,
    next,
    async until(holds) {
      for (const frames: StreamFrame[] = []; ;) {
        const frame = await next();
        if (frame === undefined) throw new Error(`the stream has ended: ${JSON.stringify(frames)}`);
        frames.push(frame);
        if (holds(frame)) return frames;
      }
    },
    close: () => abort.abort(),
    [Symbol.asyncDispose]: async () => abort.abort(),
  };
}

// --- internal ---

function readLine(line: string): StreamFrame {
  return JSON.parse(line) as StreamFrame;
}

/** A comment, the time after which to come back, or an event. */
function readEvent(text: string, comments: string[]): StreamFrame | undefined {
  if (text.startsWith(":") || text.startsWith("retry: ")) {
    comments.push(text);
    return undefined;
  }
  const [, id, type, data] = /^(?:id: (\d+)\n)?event: (\w+)\ndata: (.*)$/.exec(text) ?? [];
  if (data === undefined) throw new Error(`no event: ${text}`);
  const fields = JSON.parse(data) as object;
  if ("type" in fields) throw new Error(`the kind stands in the data too: ${text}`);
  const frame = { type: type as StreamFrame["type"], ...fields };
  return id === undefined ? frame : { ...frame, id: Number(id) };
}
