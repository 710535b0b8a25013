/**
 * Bodies that are made piece by piece. Pull-only: nothing is made ahead of the client, so however
 * slow it is, it takes no memory. A body ends whole, or with a broken connection.
 */

import { KvError } from "../errors.ts";
import type { Call } from "./route.ts";

export interface Pieces {
  /** The next piece, as soon as there is one; `undefined` behind the last one. May throw. */
  next(): Promise<Uint8Array | undefined>;
  /** Called once, when no further piece is wanted, for whatever reason. */
  ended(): void;
}

/** What a stream of its own length has as a body, and how it is told to break off. */
export interface StreamBody {
  readonly stream: ReadableStream<Uint8Array>;
  /** Breaks the connection, where the stream has not ended yet. */
  abort(): void;
}

export function streamBody({ context, request, server }: Call, pieces: Pieces): StreamBody {
  let isOpen = true;
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const ended = (): void => {
    if (!isOpen) return;
    isOpen = false;
    pieces.ended();
  };
  const fail = (error: unknown): void => {
    // The status has been sent: all that is left to say it with is the connection.
    if (isOpen) controller.error(error);
    ended();
  };
  const pull = async (): Promise<void> => {
    // Whoever asks for more has taken what there was, and is not idle while there is nothing.
    server.timeout(request, 0);
    try {
      const piece = await pieces.next();
      if (!isOpen) return;
      server.timeout(
        request,
        piece === undefined ? context.idleSeconds : context.streamIdleSeconds,
      );
      if (piece !== undefined) return controller.enqueue(piece);
      controller.close();
      ended();
    } catch (error) {
      if (!(error instanceof KvError) || error.code === "internal") context.onError(error);
      // What was enqueued before is still to be sent: the platform drops it in the same turn.
      setImmediate(() => fail(error));
    }
  };
  const start = (given: typeof controller): void => void (controller = given);
  const stream = new ReadableStream({ start, pull, cancel: ended }, { highWaterMark: 0 });
  return { stream, abort: () => fail(new KvError("unavailable", "the server is stopping")) };
}
