/** Makes a store of what is sound in a damaged data directory, which itself is left as it is. */

import type { Finding, Progress } from "./check-report.ts";
import { lockToRead } from "./check.ts";
import type { Swept } from "./commit-assembly.ts";
import type { Disk } from "./disk.ts";
import { LogWriter } from "./log-writer.ts";
import { Predecessors } from "./predecessors.ts";
import { keyOf } from "./records.ts";
import { sweepBytes, sweepLog } from "./sweep.ts";

export interface RepairOptions {
  /** The damaged directory; only read. */
  readonly from: Disk;
  /** An empty directory. */
  readonly into: Disk;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Fresh random bytes, for the store id. */
  readonly random: (bytes: number) => Uint8Array;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes after which a segment is sealed. */
  readonly segmentBytesMax?: number;
}

export interface Repaired {
  /** The id of the new store. */
  readonly store: string;
  /** The newest revision that was copied. */
  readonly revision: number;
  /** The oldest readable one. */
  readonly oldest: number;
  /** Commits that were copied. */
  readonly commits: number;
  readonly keys: number;
  /** Bytes of the new log. */
  readonly bytes: number;
  /** What was found in the damaged one: what is lost stands in those that are damage. */
  readonly findings: readonly Finding[];
}

/**
 * Copies every commit that is whole and sound, in order. Where it fails, and where `signal` aborts,
 * `into` is empty again; a process that dies leaves one in which no store can be opened.
 * @throws `conflict` when `into` is not empty or one of the two is in use, `not_found` when there
 * is no log in `from`, `unavailable` when `signal` aborts; errors of the system as they are.
 */
export async function repair(options: RepairOptions): Promise<Repaired> {
  const unlock = lockToRead(options.from);
  try {
    const lock = options.into.lock();
    try {
      return await copySound(options);
    } finally {
      lock.release();
    }
  } finally {
    unlock();
  }
}

// --- internal ---

async function copySound(options: RepairOptions): Promise<Repaired> {
  const { from, into, clock, random, onProgress, signal, segmentBytesMax } = options;
  const of = 2 * sweepBytes(from);
  let bytes = 0;
  const onRead = (count: number): void => {
    bytes = Math.min(of, bytes + count);
    onProgress?.({ bytes, of });
  };
  // Once to know what was compacted: that stands at the beginning of the new log.
  const { oldest } = await sweepLog({ disk: from, onRead, signal });
  const writerOptions = { disk: into, clock, random, oldest };
  const writer = await LogWriter.begin(
    segmentBytesMax === undefined ? writerOptions : { ...writerOptions, segmentBytesMax },
  );
  try {
    const copy = new SoundCopy(writer, oldest);
    const sweep = await sweepLog({
      disk: from,
      visit: (swept) => copy.add(swept),
      onRead,
      signal,
    });
    await writer.reach(Math.max(sweep.revision, oldest));
    const { revision } = writer;
    // A state in which a lost change is missing, and a later one is not, never was.
    const readable = Math.max(oldest, Math.min(revision, lostUpTo(sweep.findings, revision)));
    await writer.compact(readable);
    await writer.finish(sweep.highest);
    onProgress?.({ bytes: of, of });
    return {
      store: writer.store,
      revision,
      oldest: readable,
      commits: sweep.commits,
      keys: copy.keys,
      bytes: writer.bytes,
      findings: sweep.tail === undefined ? sweep.findings : [...sweep.findings, sweep.tail],
    };
  } catch (error) {
    // Should that fail too, what is there is no store.
    await writer.abandon().catch(() => undefined);
    throw error;
  }
}

/** The highest revision of which something may be lost; 0 when nothing is. */
function lostUpTo(findings: readonly Finding[], newest: number): number {
  const lost = findings.filter(({ severity }) => severity === "damage");
  return Math.max(0, ...lost.map(({ revisions }) => revisions?.last ?? newest));
}

class SoundCopy {
  readonly #writer: LogWriter;
  readonly #oldest: number;
  readonly #predecessors = new Predecessors();

  constructor(writer: LogWriter, oldest: number) {
    this.#writer = writer;
    this.#oldest = oldest;
  }

  get keys(): number {
    return this.#predecessors.live;
  }

  async add(swept: Swept): Promise<void> {
    if ("voided" in swept) {
      const { revision, createRevision } = swept.voided;
      await this.#writer.reach(revision);
      if (createRevision > this.#writer.revision) await this.#writer.addVoid(createRevision);
      return;
    }
    for (const record of swept.commit) {
      // Where the one before is lost, the newest that is left takes its place.
      const fitting = this.#predecessors.of(record, this.#oldest);
      const previous = fitting ?? this.#predecessors.known(record);
      await this.#writer.add(record, previous);
    }
    for (const record of swept.commit) {
      this.#predecessors.note({ header: record.header, key: keyOf(record) });
    }
  }
}
