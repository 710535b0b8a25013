/**
 * Finds what a key was at an older revision, from both sides by turns: along the key's records from
 * the newest back, which is short where there are few of them, and through the log from that
 * revision back, which is short where the key had just changed. In steps, so that it can be left to
 * others in between.
 */

import { encodeUtf8 } from "../text.ts";
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
  readonly #windows: Iterator<LogWindow>;
  /** The record that the way along the key's records has come to. */
  #record: ScannedRecord;
  #done = false;
  #found: ScannedRecord | undefined;

  constructor(log: Log, key: string, newest: NewestPlace, revision: number) {
    this.key = key;
    this.#log = log;
    this.#revision = revision;
    this.#wanted = encodeUtf8(key);
    this.#windows = log.windowsBefore(revision);
    this.#record = log.read(newest.position, newest.bytes);
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
    while (!this.#done) {
      this.#along();
      if (!this.#done) this.#through();
      if (!this.#done && stop()) return false;
    }
    return true;
  }

  /** A step back along the records of the key. */
  #along(): void {
    const { revision, createRevision, previousRevision } = this.#record.header;
    // All versions since the creation are later than it: none of them need be looked at.
    const skips = createRevision > this.#revision && createRevision < revision;
    const before = skips ? createRevision : previousRevision;
    if (before === 0) return this.#finish(undefined);
    this.#record = this.#log.find(before, this.key);
    if (before <= this.#revision) this.#finish(this.#record);
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
        if (isChange(header.kind) && Buffer.compare(key, this.#wanted) === 0) {
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
