/**
 * The frames of a watch. Each is made once for a filter and shared by all who get it; how it is
 * written depends on the way that it takes, and is worked out once for each way.
 */

import type { EndReason, WatchFrame } from "../messages.ts";
import { encodeUtf8 } from "../text.ts";

/** The ways to a reader: WebSocket, server-sent events, a JSON object a line. */
export type Transport = "ws" | "sse" | "ndjson";

/** What `created`, `reset` and `sync` say. */
export interface StorePosition {
  readonly revision: number;
  readonly store: string;
}

export class Frame {
  readonly type: WatchFrame["type"];
  /**
   * Up to here everything has been sent with this frame: who has got it may resume behind it. No
   * frame has one that is not the last of what belongs together.
   */
  readonly id: number | undefined;
  /** About what it takes, whichever way it is written. */
  readonly bytes: number;
  readonly #watch: number;
  readonly #fields: string;
  #socketText: string | undefined;
  #ndjson: Uint8Array | undefined;
  #sse: Uint8Array | undefined;

  /** `fields` is the JSON of everything but the type, without the braces around it. */
  constructor(
    watch: number,
    type: WatchFrame["type"],
    fields: string,
    { id, bytes = fields.length }: { id?: number | undefined; bytes?: number } = {},
  ) {
    this.#watch = watch;
    this.type = type;
    this.#fields = fields;
    this.id = id;
    this.bytes = FRAME_AROUND_BYTES + bytes;
  }

  /** `{"watch":17,"type":"change","revision":43,…}` */
  get socketText(): string {
    return (this.#socketText ??= `{"watch":${this.#watch},"type":"${this.type}",${this.#fields}}`);
  }

  /** `{"type":"change","revision":43,…}` and the end of the line. */
  get ndjson(): Uint8Array {
    return (this.#ndjson ??= encodeUtf8(`{"type":"${this.type}",${this.#fields}}\n`));
  }

  /** `id: 43`, `event: change`, `data: {"revision":43,…}` and an empty line. */
  get sse(): Uint8Array {
    const id = this.id === undefined ? "" : `id: ${this.id}\n`;
    return (this.#sse ??= encodeUtf8(`${id}event: ${this.type}\ndata: {${this.#fields}}\n\n`));
  }
}

/** What stands around the fields of a frame, at most: the longest numbers and names. */
export const FRAME_AROUND_BYTES = 96;

/** The beginning of a watch; it can be resumed from where nothing but changes follow. */
export function createdFrame(watch: number, at: StorePosition, isResumable: boolean): Frame {
  return new Frame(watch, "created", positionFields(at), isResumable ? { id: at.revision } : {});
}

/** What was got before does not count any more: the state follows. */
export function resetFrame(watch: number, at: StorePosition): Frame {
  return new Frame(watch, "reset", positionFields(at));
}

/** The end of the state. */
export function syncFrame(watch: number, at: StorePosition): Frame {
  return new Frame(watch, "sync", positionFields(at), { id: at.revision });
}

/** A part of the state; `entries` are JSON, `bytes` what they take. */
export function stateFrame(watch: number, entries: readonly string[], bytes: number): Frame {
  return new Frame(watch, "state", `"entries":[${entries.join(",")}]`, { bytes });
}

export function progressFrame(watch: number, revision: number): Frame {
  return new Frame(watch, "progress", `"revision":${revision}`, { id: revision });
}

export function endFrame(watch: number, reason: EndReason): Frame {
  return new Frame(watch, "end", `"reason":"${reason}"`);
}

/** What a `change` frame says beside its revision and its events. */
export interface ChangeNotes {
  /** Events of the same change follow in another frame. */
  readonly more: boolean;
  /** Events that were left out, where the frame stands for several commits. */
  readonly skipped?: number | undefined;
}

/** `events` are JSON, `bytes` what they take. */
export function changeFrame(
  watch: number,
  revision: number,
  events: readonly string[],
  bytes: number,
  { more, skipped }: ChangeNotes,
): Frame {
  const marks = `${more ? ',"more":true' : ""}${skipped === undefined ? "" : `,"skipped":${skipped}`}`;
  const fields = `"revision":${revision},"events":[${events.join(",")}]${marks}`;
  return new Frame(watch, "change", fields, { bytes, id: more ? undefined : revision });
}

// --- internal ---

function positionFields({ revision, store }: StorePosition): string {
  return `"revision":${revision},"store":${JSON.stringify(store)}`;
}
