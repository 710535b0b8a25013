/**
 * Finds what a key was at an older revision, from both sides by turns: along the key's records from
 * the newest back, which is short where there are few of them, and through the log from that
 * revision back, which is short where the key had just changed. In steps, so that it can be left to
 * others in between.
 */

import { encodeUtf8 } from "../text.ts";
import { sameBytes } from "./bytes.ts";
import { isChange, recordKey } from "./format.ts";
import type { Log, LogWindow } from "./log.ts";
import type { ScannedRecord } from "./segment.ts";

/** What `PastSearch` begins with: the key's newest record, which is above the revision. */
export interface NewestPlace {
  readonly position: number;
  readonly bytes: number;
}

export class PastSearch {
  readonly key: string;
  readonly #log: Log;
  readonly #revision: number;
  readonly #wanted: Uint8Array;
  readonly #newest: () => NewestPlace | undefined;
  /** The state of the log's segments in which the search was begun. */
  #generation = -1;
  #windows: Iterator<LogWindow> = [].values();
  /** The record that the way along the key's records has come to. */
  #record: ScannedRecord | undefined;
  #done = false;
  #found: ScannedRecord | undefined;

  /** `newest` answers the place of the key's newest record, which is above the revision. */
  constructor(log: Log, key: string, newest: () => NewestPlace | undefined, revision: number) {
    this.key = key;
    this.#log = log;
    this.#revision = revision;
    this.#wanted = encodeUtf8(key);
    this.#newest = newest;
  }

  /** The newest record at or below the revision, a deletion too; none when the key had none. */
  get found(): ScannedRecord | undefined {
    return this.#found;
  }

  /**
   * Goes on until it is done, and answers true then, or until `stop`, which is asked after each
   * step, says so. @throws `internal` when a record is damaged.
   */
  run(stop: () => boolean): boolean {
    // A merge has moved records in a pause: files that the search was in may be closed.
    if (!this.#done && this.#generation !== this.#log.generation) this.#begin();
    while (!this.#done) {
      this.#along();
      if (!this.#done) this.#through();
      if (!this.#done && stop()) return false;
    }
    return true;
  }

  #begin(): void {
    this.#generation = this.#log.generation;
    this.#windows = this.#log.windowsBefore(this.#revision);
    const newest = this.#newest();
    // A deletion was forgotten: nobody may read at the revision any more, as the caller will find.
    if (newest === undefined) return this.#finish(undefined);
    this.#record = this.#log.read(newest.position, newest.bytes);
  }

  /** A step back along the records of the key. */
  #along(): void {
    const { revision, createRevision, previousRevision } = this.#record!.header;
    // All versions since the creation are later than it: none of them need be looked at.
    const skips = createRevision > this.#revision && createRevision < revision;
    const before = skips ? createRevision : previousRevision;
    if (before === 0) return this.#finish(undefined);
    this.#record = this.#log.find(before, this.key);
    // What a merge has left out here is a deletion, or below what can be read by now.
    if (this.#record === undefined || before <= this.#revision) this.#finish(this.#record);
  }

  /** A step back through the log, over 16 KiB of it. */
  #through(): void {
    const { done, value: window } = this.#windows.next();
    if (done === true) return;
    let found: ScannedRecord | undefined;
    window.segment.scanSound(
      window.from,
      (record) => {
        const { header, bytes, at } = record;
        if (header.revision > this.#revision) return false;
        const key = recordKey(bytes, at, header);
        if (isChange(header.kind) && sameBytes(key, this.#wanted)) {
          // The window's bytes are used again as the scan goes on.
          found = { header, bytes: bytes.slice(), at };
        }
        return true;
      },
      window.to,
    );
    if (found !== undefined) this.#finish(found);
  }

  #finish(found: ScannedRecord | undefined): void {
    this.#done = true;
    this.#found = found;
  }
}
