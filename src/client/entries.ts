/** Entries and events as the SDK hands them out: with their value as bytes, text or JSON. */

import { KvError } from "../errors.ts";
import type { Entry, ListedEntry, ListedEvent } from "../kv.ts";
import { decodeUtf8, quote } from "../text.ts";

/** The ways to read a value. All throw `invalid_argument` where only keys were asked for. */
export interface Readable {
  /** The value's bytes: those of `value`. Read them, never write to them. */
  readonly bytes: Uint8Array;
  /**
   * The value as text.
   * @throws `invalid_argument` when the bytes are not UTF-8: read `bytes` then.
   */
  text(): string;
  /**
   * The value parsed as JSON. The type is the caller's word; nothing checks it.
   * @throws `invalid_argument` when the value is not JSON.
   *
   * @example
   * const config = (await kv.get("config"))?.json<{ port: number }>();
   */
  json<T = unknown>(): T;
}

/** A key with its value. */
export type KvEntry = Entry & Readable;

/** An entry of a list or a transaction: its `value` is absent when only keys were asked for. */
export type KvListedEntry = ListedEntry & Readable;

/** A key was created or changed; its `value` is absent when only keys were asked for. */
export type KvPutEvent = KvListedEntry & {
  readonly type: "put";
  /** With `prev`: what was there before; absent where the key was. */
  readonly prev?: KvListedEntry;
};

/** A key was removed: by a request, or because its time had run out. */
export interface KvDeleteEvent {
  readonly type: "delete" | "expire";
  readonly key: string;
  readonly revision: number;
  /** With `prev`: what was there before. */
  readonly prev?: KvListedEntry;
}

/** What happened to one key: tell them apart by `type`. */
export type KvEvent = KvPutEvent | KvDeleteEvent;

export function readable<T extends ListedEntry>(entry: T): T & Readable {
  return Object.setPrototypeOf({ ...entry }, methods) as T & Readable;
}

export function readableEvent({ prev: before, ...event }: ListedEvent): KvEvent {
  const prev = before === undefined ? undefined : { prev: readable(before) };
  return event.type === "put" ? readable({ ...event, ...prev }) : { ...event, ...prev };
}

// --- internal ---

/** On the prototype, so that an entry prints, spreads and compares as its fields alone. */
const methods = {
  get bytes(): Uint8Array {
    return bytesOf(this as unknown as ListedEntry);
  },

  text(this: ListedEntry): string {
    const text = decodeUtf8(bytesOf(this));
    if (text !== undefined) return text;
    throw new KvError(
      "invalid_argument",
      `the value of ${quote(this.key)} is not UTF-8 text; read its bytes`,
    );
  },

  json(this: ListedEntry): unknown {
    const text = decodeUtf8(bytesOf(this)) ?? "";
    try {
      return JSON.parse(text);
    } catch (error) {
      const message = `the value of ${quote(this.key)} is not JSON`;
      throw new KvError("invalid_argument", message, {}, error);
    }
  },
};

function bytesOf({ key, value }: ListedEntry): Uint8Array {
  if (value !== undefined) return value;
  const why = "was left out, because only keys were asked for";
  throw new KvError("invalid_argument", `the value of ${quote(key)} ${why}`);
}
