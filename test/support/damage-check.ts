/**
 * What may come of damage to one golden directory, and the count of what did. Knows the undamaged
 * state, what of the files is ever read, and what of the log was never known to be synced.
 */

import type { DiskFile } from "../../src/log/disk.ts";
import {
  inWords,
  openTimeless,
  type Outcome,
  outcomeOf,
  same,
  type Shown,
  verdictOf,
  viewIn,
} from "./damage.ts";
import { FakeDisk } from "./fake-disk.ts";
import { readMark, Refusal } from "./format/bytes.ts";
import type { GoldenDirectory } from "./golden-directories.ts";
import { goldenShown } from "./golden-directories.ts";
import type { LogView } from "./log-view.ts";

export class DamageCheck {
  refused = 0;
  opened = 0;
  readonly #golden: GoldenDirectory;
  readonly #right: Shown;
  readonly #reads: ReadonlyMap<string, readonly Span[]>;
  /** How far the log was known to be synced: what is above that may be lost. */
  readonly #synced: { readonly name: string; readonly end: number } | undefined;

  private constructor(golden: GoldenDirectory, right: Shown, disk: ReadingDisk) {
    this.#golden = golden;
    this.#right = right;
    this.#reads = disk.reads;
    const mark = readMark(golden.files.get("DURABLE"));
    if (mark !== undefined) {
      this.#synced = { name: `${String(mark.segment).padStart(10, "0")}.log`, end: mark.end };
    }
  }

  /** Opens the undamaged directory, to know what it shows and what is read for it. */
  static async begin(golden: GoldenDirectory): Promise<DamageCheck> {
    const disk = new ReadingDisk();
    for (const [name, bytes] of golden.files) disk.place(name, bytes);
    const store = await openTimeless(disk);
    const right = await goldenShown(store);
    await store.close();
    return new DamageCheck(golden, right, disk);
  }

  /** The part of it that the reader of the format tells too. */
  get read(): LogView {
    return viewIn(this.#right);
  }

  /** Was this byte of a file ever looked at? */
  isRead(name: string, at: number): boolean {
    return (this.#reads.get(name) ?? []).some(({ from, to }) => from <= at && at < to);
  }

  /** One change to one file, the first changed byte of which is at `at`. */
  async single(
    name: string,
    what: string,
    at: number,
    change: (copy: Uint8Array) => Uint8Array,
  ): Promise<void> {
    const files = new Map(this.#golden.files);
    files.set(name, change(files.get(name)!.slice()));
    const outcome = await outcomeOf(files);
    const fault = this.#fault(outcome, verdictOf(files), name, at);
    if (fault !== undefined) {
      throw new Error(`${this.#golden.name}, ${name}, ${what}: ${fault}; ${inWords(outcome)}`);
    }
    if (outcome.refused === undefined) this.opened++;
    else this.refused++;
  }

  #fault(
    outcome: Outcome,
    verdict: LogView | Refusal,
    name: string,
    at: number,
  ): string | undefined {
    if (outcome.refused !== undefined) {
      if (outcome.file !== name) return `another file is named`;
      if (outcome.offset !== undefined && outcome.offset > at) return "the place is behind it";
      if (!(verdict instanceof Refusal)) return "the reader refuses nothing";
      if (verdict.file !== outcome.file) return `the reader refuses ${verdict.message}`;
      if (verdict.offset !== outcome.offset) return `the reader refuses ${verdict.message}`;
      return undefined;
    }
    if (verdict instanceof Refusal) return `the reader refuses ${verdict.message}`;
    if (!same(viewIn(outcome.shown), verdict)) return "the reader finds something else";
    if (same(outcome.shown, this.#right)) return undefined;
    const unsynced = name === this.#synced?.name && at >= this.#synced.end;
    if (unsynced && isBeginning(outcome.shown, this.#right)) return undefined;
    return "it shows something else than before";
  }
}

/** Is the one the other without some of its last commits? */
export function isBeginning(one: Shown, other: Shown): boolean {
  const count = one.commits.length;
  return (
    one.store === other.store &&
    one.oldest === other.oldest &&
    one.revision <= other.revision &&
    same(one.commits, other.commits.slice(0, count)) &&
    same(one.states, other.states.slice(0, count + 1))
  );
}

// --- internal ---

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Notes what is read of each file. */
class ReadingDisk extends FakeDisk {
  readonly reads = new Map<string, Span[]>();

  override open(name: string): DiskFile {
    const file = super.open(name);
    const spans = this.reads.get(name) ?? [];
    this.reads.set(name, spans);
    const read = file.read.bind(file);
    file.read = (into, offset) => {
      const count = read(into, offset);
      spans.push({ from: offset, to: offset + count });
      return count;
    };
    return file;
  }
}
