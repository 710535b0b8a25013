/**
 * Makes a store of copies: a full one, and those that go on from it, in order. The store gets an id
 * of its own, has the same revisions, and passes over those that the copied one may have handed out
 * since.
 */

import { KvError } from "../errors.ts";
import type { Disk } from "./disk.ts";
import { isChange } from "./format.ts";
import { LogWriter, type LogWriterOptions } from "./log-writer.ts";
import { Predecessors } from "./predecessors.ts";
import { keyOf } from "./records.ts";
import type { ScannedRecord } from "./segment.ts";
import type { SnapshotHeader } from "./snapshot-format.ts";
import { SnapshotParser, type SnapshotSummary } from "./snapshot-parser.ts";

/** One copy. */
export interface RestoreSource {
  /** What messages call it: the name of its file, most times. */
  readonly name: string;
  readonly pieces: AsyncIterable<Uint8Array>;
}

export interface RestoreOptions {
  /** The full copy first, then the others in order. */
  readonly sources: readonly RestoreSource[];
  /** An empty directory. */
  readonly disk: Disk;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Fresh random bytes, for the store id. */
  readonly random: (bytes: number) => Uint8Array;
  /** Told now and then, in bytes of the copies that were read. */
  readonly onProgress?: ((progress: { readonly bytes: number }) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes after which a segment is sealed. */
  readonly segmentBytesMax?: number;
}

export interface Restored {
  /** The id of the new store. */
  readonly store: string;
  /** The newest revision of the copies. */
  readonly revision: number;
  /** The oldest readable one. */
  readonly oldest: number;
  readonly keys: number;
  /** Bytes of the new log. */
  readonly bytes: number;
  readonly sources: readonly SnapshotSummary[];
}

/**
 * Where it fails, and where `signal` aborts, the directory is empty again. A process that dies
 * leaves one in which no store can be opened, as soon as there is a file without a temporary name;
 * before the first record is written that is so, and durable.
 * @throws `conflict` when the directory is not empty or in use, `invalid_argument` when the copies
 * do not follow each other, `internal` when one is broken or cut short, `unavailable` when aborted;
 * errors of the system and of the sources as they are.
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const lock = options.disk.lock();
  try {
    return await new Restore(options).run();
  } finally {
    lock.release();
  }
}

// --- internal ---

class Restore {
  readonly #options: RestoreOptions;
  readonly #predecessors = new Predecessors();
  readonly #done: SnapshotSummary[] = [];
  #writer: LogWriter | undefined;
  #bytes = 0;
  /** Of the commit that is being read: the keys, which count once it is whole. */
  #commit: { header: ScannedRecord["header"]; key: string }[] = [];

  constructor(options: RestoreOptions) {
    this.#options = options;
  }

  async run(): Promise<Restored> {
    const { sources } = this.#options;
    if (sources.length === 0)
      throw new KvError("invalid_argument", "there is no backup to restore");
    try {
      for (const source of sources) await this.#read(source);
      const writer = this.#writer!;
      const { revision, oldest } = this.#done.at(-1)!;
      await writer.finish();
      const { store, bytes } = writer;
      const keys = this.#predecessors.live;
      return { store, revision, oldest, keys, bytes, sources: this.#done };
    } catch (error) {
      // Should that fail too, what is there is no store.
      await this.#writer?.abandon().catch(() => undefined);
      throw error;
    }
  }

  async #read(source: RestoreSource): Promise<void> {
    const parser = new SnapshotParser();
    let isBegun = false;
    for await (const piece of source.pieces) {
      const records = named(source, parser.push(piece));
      for (const record of records) {
        if (!isBegun) await this.#begin(source, parser.header!);
        isBegun = true;
        await this.#add(source, record, parser.header!);
      }
      this.#bytes += piece.length;
      this.#options.onProgress?.({ bytes: this.#bytes });
      if (this.#options.signal?.aborted) {
        throw new KvError("unavailable", "the restore was ended; nothing was made");
      }
    }
    const summary = finish(source, parser);
    if (!isBegun) await this.#begin(source, parser.header!);
    await this.#writer!.reach(summary.revision);
    this.#done.push(summary);
  }

  /** The header of a copy is known. @throws `invalid_argument` when it does not go on from here. */
  async #begin({ name }: RestoreSource, header: SnapshotHeader): Promise<void> {
    const { store, since, oldest } = header;
    const before = this.#done.at(-1);
    if (before === undefined) {
      if (since !== undefined) {
        const what = `${name} has only what came after revision ${since}`;
        throw refused(`${what}; the full backup that it goes on from must come first`);
      }
      const options: LogWriterOptions = { ...this.#options, oldest };
      this.#writer = await LogWriter.begin(options);
      return;
    }
    if (store !== before.store) {
      throw refused(`${name} is of store ${store}, those before it are of store ${before.store}`);
    }
    if (since === undefined) throw refused(`${name} is a full backup; only the first may be one`);
    if (since !== before.revision) {
      const what = `${name} goes on from revision ${since}`;
      const but = `the backup before it ends at revision ${before.revision}`;
      throw refused(`${what}, but ${but}; one is missing, or they are not in order`);
    }
    await this.#writer!.compact(oldest);
  }

  async #add({ name }: RestoreSource, record: ScannedRecord, of: SnapshotHeader): Promise<void> {
    const writer = this.#writer!;
    const { header } = record;
    if (!isChange(header.kind)) {
      await writer.reach(header.revision);
      await writer.addVoid(header.createRevision);
      return;
    }
    const previous = this.#predecessors.of(record, of.oldest);
    if (previous === undefined) {
      const what = `revision ${header.revision} goes on from one that is not there`;
      throw new KvError("internal", `${name}: the backup is broken: ${what}`);
    }
    this.#commit.push({ header, key: keyOf(record) });
    await writer.add(record, previous);
    if (writer.revision !== header.revision) return;
    for (const change of this.#commit) this.#predecessors.note(change);
    this.#commit = [];
  }
}

/** Gives the name of a source to what its parser throws. */
function* named<T>({ name }: RestoreSource, items: Iterable<T>): Generator<T> {
  try {
    yield* items;
  } catch (error) {
    throw withName(name, error);
  }
}

function finish({ name }: RestoreSource, parser: SnapshotParser): SnapshotSummary {
  try {
    return parser.finish();
  } catch (error) {
    throw withName(name, error);
  }
}

function withName(name: string, error: unknown): unknown {
  if (!(error instanceof KvError)) return error;
  return new KvError(error.code, `${name}: ${error.message}`, error.details);
}

function refused(message: string): KvError {
  return new KvError("invalid_argument", message);
}
