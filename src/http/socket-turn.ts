/**
 * A request of a WebSocket that waits for its turn, whichever form it came in: what a connection
 * has to know of it to keep the order.
 */

import type { KvError } from "../errors.ts";
import type { MaybePromise } from "../kv.ts";

/**
 * Requests that may run at the same time as others of their kind: the store takes writes in the
 * order in which they are handed over, and reads change nothing. What forgets history has to wait
 * for what is written before it, and what both reads and writes for both, so it runs alone.
 */
export type TurnKind = "read" | "write" | "alone";

/** Text is JSON, bytes are binary frames. The bytes may be used again after the call. */
export type Send = (message: string | Uint8Array) => void;

export interface Turn {
  readonly kind: TurnKind;
  /** Bytes of its message. */
  readonly bytes: number;
  /** Runs it and sends its answer; whatever it throws or rejects with is to become its error. */
  run(send: Send): MaybePromise<void>;
  /** The message that says why there is no other answer. */
  refusal(error: KvError): string | Uint8Array;
}

/** A message that is no request, with the way in which its error goes out. */
export class RequestError extends Error {
  readonly refusal: Turn["refusal"];

  constructor(refusal: Turn["refusal"], cause: unknown) {
    super("not a request", { cause });
    this.refusal = refusal;
  }
}
