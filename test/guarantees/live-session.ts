/** Records one session of a watcher while it goes on. */

import type { JsonError } from "../../src/json.ts";
import type { WatchFrame } from "../../src/messages.ts";
import { abridgedFrame } from "./abridged.ts";
import {
  nextPosition,
  positionBefore,
  type Arrival,
  type RecordedSession,
  type Refusal,
  type WatchBegin,
} from "./record.ts";
import type { Known } from "./known.ts";

export class LiveSession {
  readonly begin: WatchBegin;
  readonly #resumes: boolean;
  readonly #known: Known;
  readonly #asked: number;
  readonly #knownRevision: number;
  readonly #arrivals: Arrival[] = [];
  readonly #pauses: { from: number; to: number }[] = [];
  readonly #changed: () => void;
  #refusal: Refusal | undefined;
  #position: number | undefined;
  #isOver = false;
  #isRecorded = false;

  /** `changed` is called behind each frame, and at a refusal. */
  constructor(known: Known, begin: WatchBegin, resumes: boolean, changed: () => void) {
    this.begin = begin;
    this.#resumes = resumes;
    this.#known = known;
    this.#changed = changed;
    this.#asked = performance.now();
    this.#knownRevision = known.revision;
    this.#position = positionBefore(begin);
  }

  /** Where a client goes on after this session. */
  get position(): number | undefined {
    return this.#position;
  }

  /** Frames that came. */
  get frames(): number {
    return this.#arrivals.length;
  }

  /** Nothing more will come, as the server has said. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get isBegun(): boolean {
    return this.#arrivals.length > 0;
  }

  get isRefused(): boolean {
    return this.#refusal !== undefined;
  }

  arrive(frame: WatchFrame, id: number | undefined): void {
    if (this.#isRecorded) return;
    const at = performance.now();
    const place = id === undefined ? undefined : { id };
    this.#arrivals.push({ at, frame: abridgedFrame(frame), ...place });
    this.#position = nextPosition(this.#position, frame, this.begin);
    this.#isOver ||= frame.type === "end";
    if ("revision" in frame && frame.type !== "reset") this.#learn(frame, at);
    this.#changed();
  }

  refuse({ code, oldest }: JsonError["error"]): void {
    if (this.#isRecorded) return;
    const details = oldest === undefined ? undefined : { oldest };
    this.#refusal = { at: performance.now(), code: code as Refusal["code"], ...details };
    this.#isOver = true;
    this.#changed();
  }

  paused(from: number): void {
    this.#pauses.push({ from, to: performance.now() });
  }

  /** What was recorded; nothing comes behind it. `reaches` is what it was given time to get to. */
  recorded(reaches?: number): RecordedSession {
    this.#isRecorded = true;
    return {
      begin: this.begin,
      resumes: this.#resumes,
      asked: this.#asked,
      known: this.#knownRevision,
      arrivals: this.#arrivals,
      ...(this.#refusal === undefined ? undefined : { refusal: this.#refusal }),
      pauses: this.#pauses,
      ended: performance.now(),
      ...(reaches === undefined ? undefined : { reaches }),
    };
  }

  /** A revision that was shown is one that the store has, unless it is where the watch was asked to begin. */
  #learn(frame: { readonly type: string; readonly revision: number }, at: number): void {
    if (frame.type !== "created" || positionBefore(this.begin) === undefined) {
      this.#known.note(frame.revision, at);
    }
  }
}
