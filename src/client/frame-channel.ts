/**
 * One WebSocket for binary frames, from its opening to its end: each frame that is sent is answered
 * by one.
 */

import { decodeAnswers, type FrameAnswer } from "../binary-answer.ts";
import { encodeRequest, type FrameOperation } from "../binary-request.ts";
import { KvError } from "../errors.ts";
import { SUBPROTOCOL } from "../protocol.ts";

/** The answers of a frame; why there are none; or nothing, when the connection broke before. */
export type Asked = readonly FrameAnswer[] | KvError | undefined;

export class FrameChannel {
  /** Resolves when it can be used, with true, or when it cannot be had. */
  readonly opened: Promise<boolean>;
  readonly #socket: WebSocket;
  readonly #ended: () => void;
  #opens: (isOpen: boolean) => void = () => {};
  readonly #timer: ReturnType<typeof setTimeout>;
  /** Frames without an answer, by their id. */
  readonly #asked = new Map<number, { count: number; answered: (answer: Asked) => void }>();
  #lastId = 0;
  #heardAt = 0;
  #isOpen = false;
  #isLate = false;
  #closed = false;

  /** `url` is that of the endpoint; `ended` is called once, when it cannot be used any more. */
  constructor(url: string, timeoutMs: number, ended: () => void) {
    this.opened = new Promise((resolve) => (this.#opens = resolve));
    this.#ended = ended;
    this.#socket = new WebSocket(url, [SUBPROTOCOL]);
    this.#socket.binaryType = "arraybuffer";
    // The close that follows says it as well; without a listener some platforms throw.
    this.#socket.onerror = () => {};
    this.#socket.onopen = () => this.#open();
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = () => this.close();
    this.#timer = setTimeout(() => {
      this.#isLate = true;
      this.close();
    }, timeoutMs);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Was it given up because it did not open in its time? */
  get isLate(): boolean {
    return this.#isLate;
  }

  /** Frames that were not answered yet. */
  get unanswered(): number {
    return this.#asked.size;
  }

  /** When anything came last, as `performance.now()`; 0 before its opening. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Sends a frame; only while it is open. */
  ask(operations: readonly FrameOperation[]): Promise<Asked> {
    if (!this.#isOpen) return Promise.resolve(undefined);
    // 0 stands for no id.
    const id = (this.#lastId % (2 ** 32 - 1)) + 1;
    this.#lastId = id;
    this.#socket.send(encodeRequest(id, operations));
    return new Promise((answered) => this.#asked.set(id, { count: operations.length, answered }));
  }

  /** Lets go at once; what was not answered is lost. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    this.#socket.onopen = null;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close();
    this.#opens(false);
    this.#ended();
    for (const { answered } of this.#asked.values()) answered(undefined);
    this.#asked.clear();
  }

  #open(): void {
    clearTimeout(this.#timer);
    // Every kv selects it, so this is something else, whatever it may say later.
    if (this.#socket.protocol !== SUBPROTOCOL) return this.close();
    this.#isOpen = true;
    this.#heardAt = performance.now();
    this.#opens(true);
  }

  #receive(data: unknown): void {
    this.#heardAt = performance.now();
    try {
      const { id, answers } = decodeAnswers(new Uint8Array(data as ArrayBuffer));
      const asked = this.#asked.get(id);
      const isWhole = answers instanceof KvError || answers.length === asked?.count;
      if (asked === undefined || !isWhole) throw new Error("an answer to something else");
      this.#asked.delete(id);
      asked.answered(answers);
    } catch {
      // What cannot be read is none of kv's, and nothing that comes behind it can be trusted.
      this.close();
    }
  }
}
