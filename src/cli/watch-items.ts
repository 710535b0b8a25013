/**
 * What a watch tells, one thing at a time: each is a line of output, or one run of a command.
 */

import type { KvFrame } from "../client/index.ts";
import type { ListedEntry, ListedEvent } from "../kv.ts";
import { CLIENT_WATCH_BYTES_MAX } from "../limits.ts";

export type WatchItem = {
  /** Events that were left out before this one. */
  readonly skipped?: number;
} & (
  | ListedEvent
  /** A key that is there. */
  | ({ readonly type: "state" } & ListedEntry)
  /** All that is there has been told; or: what was told of it counts no more. */
  | { readonly type: "sync" | "reset"; readonly revision: number; readonly store: string }
);

export function itemsOf(frame: KvFrame): WatchItem[] {
  switch (frame.type) {
    case "state":
      return frame.entries.map((entry) => ({ type: "state", ...entry }));
    case "change": {
      const [first, ...others] = frame.events;
      if (first === undefined || frame.skipped === undefined) return [...frame.events];
      return [{ ...first, skipped: frame.skipped }, ...others];
    }
    case "sync":
    case "reset":
      return [frame];
  }
}

/** The frames up to and with the first change. */
export async function* untilChange(frames: AsyncIterable<KvFrame>): AsyncGenerator<KvFrame> {
  for await (const frame of frames) {
    yield frame;
    if (frame.type === "change") return;
  }
}

export async function* everyItem(frames: AsyncIterable<KvFrame>): AsyncGenerator<WatchItem> {
  for await (const frame of frames) yield* itemsOf(frame);
}

/**
 * The items for somebody who is slower than they come and wants no older ones: of each key only the
 * newest when its turn is there. A key that changes again keeps its place in the line, so none
 * waits for ever. No more than `bytesMax` is held, but for one frame.
 */
export async function* newestItems(
  frames: AsyncIterable<KvFrame>,
  bytesMax = CLIENT_WATCH_BYTES_MAX,
): AsyncGenerator<WatchItem> {
  const line = new NewestLine(bytesMax);
  void line.fill(frames);
  for (;;) {
    const item = await line.take();
    if (item === undefined) return;
    yield item;
  }
}

// --- internal ---

/** What an item takes beside its key and its values. */
const ITEM_OVERHEAD_BYTES = 200;

class NewestLine {
  readonly #bytesMax: number;
  /** In the order in which they came to wait: one of each key, and one of each other type. */
  readonly #waiting = new Map<string, WatchItem>();
  #bytes = 0;
  #end: { readonly error: unknown } | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  async fill(frames: AsyncIterable<KvFrame>): Promise<void> {
    let error: unknown;
    try {
      for await (const frame of frames) {
        for (const item of itemsOf(frame)) this.#add(item);
        this.#wake();
        while (this.#isFull) await this.#changed.promise;
      }
    } catch (caught) {
      error = caught;
    }
    this.#end = { error };
    this.#wake();
  }

  /** The next one when there is one; `undefined` at the end. @throws what ended the frames. */
  async take(): Promise<WatchItem | undefined> {
    for (;;) {
      const [first] = this.#waiting;
      if (first !== undefined) {
        const [place, item] = first;
        this.#waiting.delete(place);
        this.#bytes -= bytesOf(item);
        this.#wake();
        return item;
      }
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end !== undefined) return undefined;
      await this.#changed.promise;
    }
  }

  /** One alone may be as large as it is: what comes instead of it takes its room. */
  get #isFull(): boolean {
    return this.#bytes > this.#bytesMax && this.#waiting.size > 1;
  }

  #add(item: WatchItem): void {
    if (item.type === "reset") {
      this.#waiting.clear();
      this.#bytes = 0;
    }
    const place = "key" in item ? `key ${item.key}` : item.type;
    const before = this.#waiting.get(place);
    if (before !== undefined) this.#bytes -= bytesOf(before);
    this.#waiting.set(place, item);
    this.#bytes += bytesOf(item);
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function bytesOf(item: WatchItem): number {
  if (!("key" in item)) return ITEM_OVERHEAD_BYTES;
  const value = "value" in item ? (item.value?.length ?? 0) : 0;
  const prev = "prev" in item ? (item.prev?.value?.length ?? 0) : 0;
  return ITEM_OVERHEAD_BYTES + item.key.length + value + prev;
}
