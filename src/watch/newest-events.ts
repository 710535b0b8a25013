/**
 * The newest event of each key in a stretch of the changes, for watchers that want no older ones
 * while they are behind. Only keys and revisions are gathered: the events themselves are read when
 * they are sent, so that their number counts and not their size.
 */

import { assert } from "../errors.ts";
import { utf8Bytes } from "../keys.ts";
import type { Changes, Commit, Event, Store } from "../kv.ts";
import { BACKGROUND_SLICE_MS, FRAME_BYTES_MAX, LATEST_BYTES_MAX } from "../limits.ts";
import { Slice } from "../slice.ts";
import { eventText, type Encoding } from "./encoded-commit.ts";
import { changeFrame, FRAME_AROUND_BYTES, type Frame } from "./frames.ts";

/** What a key that was gathered takes beside its text. */
const KEY_OVERHEAD_BYTES = 100;

export class NewestEvents {
  /** Commits above are not looked at. */
  readonly #target: number;
  readonly #bytesMax: number;
  /** In the order of the newest event of each key. */
  readonly #newest = new Map<string, Pick<Event, "type" | "revision">>();
  #events = 0;
  #commits = 0;
  #bytes = 0;
  #lastRevision = 0;
  /** The revision at which the changes go on. */
  #next: number;

  /** Of the changes from `from` up to `target`, or up to where `bytesMax` are gathered. */
  constructor(from: number, target: number, bytesMax: number = LATEST_BYTES_MAX) {
    this.#next = from;
    this.#target = target;
    this.#bytesMax = bytesMax;
  }

  get next(): number {
    return this.#next;
  }

  /** Nothing has to be gathered any more. */
  get isWhole(): boolean {
    return this.#next > this.#target || this.#bytes > this.#bytesMax;
  }

  get isEmpty(): boolean {
    return this.#newest.size === 0;
  }

  /** The last commit of which there was an event. */
  get lastRevision(): number {
    return this.#lastRevision;
  }

  /** Adds the chunk of changes at `next`, or its beginning, where that makes it whole. */
  add({ commits, through }: Changes): void {
    for (const commit of commits) {
      if (commit.revision > this.#target) break;
      if (this.isWhole) return;
      this.#addCommit(commit);
    }
    if (!this.isWhole) this.#next = Math.min(through, this.#target) + 1;
  }

  /**
   * The frames of one change that stands for all that was gathered, from event `first` on, each
   * with the number of events that were sent behind it.
   * @throws what the store's `get` does; `compacted` when the revisions are forgotten meanwhile.
   */
  async *frames(
    store: Store,
    encoding: Encoding,
    first: number,
  ): AsyncGenerator<{ frame: Frame; end: number }> {
    const { number } = encoding;
    const skipped = this.#commits > 1 ? this.#events - this.#newest.size : undefined;
    let texts: string[] = [];
    let bytes = 0;
    let end = 0;
    // What a key was in the past may have to be looked for.
    const slice = new Slice(1, BACKGROUND_SLICE_MS);
    for (const [key, { type, revision }] of this.#newest) {
      if (end++ < first) continue;
      await slice.pause();
      const event = await readEvent(store, key, type, revision, encoding.prev);
      const text = eventText(event, encoding.keys);
      const size = utf8Bytes(text) + 1;
      if (texts.length > 0 && FRAME_AROUND_BYTES + bytes + size > FRAME_BYTES_MAX) {
        const frame = changeFrame(number, this.#lastRevision, texts, bytes, { more: true });
        yield { frame, end: end - 1 };
        texts = [];
        bytes = 0;
      }
      texts.push(text);
      bytes += size;
    }
    const notes = { more: false, skipped };
    yield { frame: changeFrame(number, this.#lastRevision, texts, bytes, notes), end };
  }

  #addCommit({ revision, events }: Commit): void {
    this.#commits++;
    this.#events += events.length;
    this.#lastRevision = revision;
    this.#next = revision + 1;
    for (const { key, type } of events) {
      // Taken out first: a map keeps the place of a key that is set again.
      if (!this.#newest.delete(key)) this.#bytes += utf8Bytes(key) + KEY_OVERHEAD_BYTES;
      this.#newest.set(key, { type, revision });
    }
  }
}

// --- internal ---

async function readEvent(
  store: Store,
  key: string,
  type: Event["type"],
  revision: number,
  prev: boolean,
): Promise<Event> {
  const before = prev ? (await store.get(key, { revision: revision - 1 })).entry : undefined;
  const previous = before === undefined ? undefined : { prev: before };
  if (type !== "put") return { type, key, revision, ...previous };
  const { entry } = await store.get(key, { revision });
  assert(entry?.revision === revision, "a key has an entry at the revision at which it was put");
  return { type, ...entry, ...previous };
}
