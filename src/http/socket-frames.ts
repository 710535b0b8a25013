/**
 * Requests that come as binary frames: many operations each, read into columns and answered into
 * bytes that later frames use again.
 */

import { AnswerWriter, encodeError } from "../binary-answer.ts";
import { frameId } from "../binary-frame.ts";
import { RequestColumns } from "../binary-request.ts";
import { assert, type KvError } from "../errors.ts";
import type { MaybePromise, Store } from "../kv.ts";
import { runMany } from "./many-one-by-one.ts";
import { RequestError, type Send, type Turn, type TurnKind } from "./socket-turn.ts";

/** Frames that are kept for later ones; most are done when the next one comes. */
const KEPT_MAX = 32;

/** The frames of all connections. */
export class FramePool {
  readonly #store: Store;
  readonly #onError: (error: unknown) => void;
  readonly #kept: FrameTurn[] = [];

  constructor(store: Store, onError: (error: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
  }

  /** @throws `RequestError` for anything that is no frame of operations. */
  parse(message: Uint8Array): Turn {
    const turn = this.#kept.pop() ?? new FrameTurn(this.#store, this.#onError, this.#keep);
    try {
      turn.columns.decode(message);
      return turn;
    } catch (error) {
      this.#keep(turn);
      throw frameError(message, error);
    }
  }

  readonly #keep = (turn: FrameTurn): void => {
    turn.columns.release();
    if (this.#kept.length < KEPT_MAX) this.#kept.push(turn);
  };
}

/** What a binary message is answered with that is not run. */
export function frameError(message: Uint8Array, error: unknown): RequestError {
  const id = frameId(message);
  return new RequestError((error) => encodeError(id, error), error);
}

// --- internal ---

class FrameTurn implements Turn {
  readonly columns = new RequestColumns();
  readonly #answers: AnswerWriter;
  readonly #store: Store;
  readonly #done: (turn: FrameTurn) => void;

  constructor(store: Store, onError: (error: unknown) => void, done: (turn: FrameTurn) => void) {
    this.#store = store;
    this.#answers = new AnswerWriter(onError);
    this.#done = done;
  }

  get kind(): TurnKind {
    const { reads, writes } = this.columns;
    if (reads && writes) return "alone";
    return writes ? "write" : "read";
  }

  get bytes(): number {
    return this.columns.bytes.length;
  }

  run(send: Send): MaybePromise<void> {
    this.#answers.begin(this.columns.id);
    const running = runMany(this.#store, this.columns, this.#answers);
    if (running instanceof Promise) return running.then(() => this.#answer(send));
    this.#answer(send);
  }

  refusal(error: KvError): Uint8Array {
    return encodeError(this.columns.id, error);
  }

  #answer(send: Send): void {
    assert(this.#answers.count === this.columns.count, "every operation is answered once");
    send(this.#answers.end());
    this.#done(this);
  }
}
