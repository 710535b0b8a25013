/**
 * Reads of the state, now or at a revision that can be read. Keys that are overdue, which nobody
 * may see, expire first; what takes long goes on in slices.
 */

import type { EntrySink } from "../entry-sink.ts";
import { KvError } from "../errors.ts";
import { checkKey, checkRange } from "../keys.ts";
import type {
  CommitResult,
  Entry,
  GetResult,
  ListOptions,
  ListResult,
  MaybePromise,
  Operation,
  Range,
  ReadOptions,
  ScanOptions,
  ScanResult,
  Txn,
} from "../kv.ts";
import { EXPIRE_EVENTS_MAX, MANY_GETS_A_TURN, type Limits } from "../limits.ts";
import { MANY, type Many, type ManyAnswers } from "../many.ts";
import { checkList, checkScan } from "../rules.ts";
import type { Horizon } from "./horizon.ts";
import { FOUND_AHEAD_MAX, FoundAhead } from "./found-ahead.ts";
import { NO_ENTRY, type KeyIndex } from "./key-index.ts";
import { checkOne } from "./many-job.ts";
import { PastSearch } from "./past-search.ts";
import { RangedRead } from "./ranged-read.ts";
import type { Reader } from "./reader.ts";
import { ScanRead } from "./scan-read.ts";
import type { SlicedRead, SlicedReadOptions } from "./sliced-read.ts";

export interface StateReadsOptions {
  readonly index: KeyIndex;
  readonly reader: Reader;
  readonly horizon: Horizon;
  readonly limits: Limits;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Throws once the store is closed; asked after each pause. */
  readonly checkOpen: () => void;
  /** Runs a transaction, which lets overdue keys that it meets expire first. */
  readonly commit: (txn: Txn) => Promise<CommitResult>;
  /** Runs many operations from `from` on, those that overdue keys keep from being read at once. */
  readonly many: (operations: Many, from: number, answers: ManyAnswers) => Promise<void>;
  /** Resolves when every key that was due at a time has expired. */
  readonly settled: (asOf: number) => Promise<void>;
}

type BeginRead<T> = (at: SlicedReadOptions) => SlicedRead<T>;

export class StateReads {
  readonly #options: StateReadsOptions;
  /** Entries of the gets of many that are answered now. */
  readonly #found = new FoundAhead();

  constructor(options: StateReadsOptions) {
    this.#options = options;
  }

  get(key: string, revision: number | undefined): MaybePromise<GetResult> {
    checkKey(key);
    const { horizon, index, reader } = this.#options;
    const at = horizon.readable(revision);
    const number = index.findKey(key);
    if (number === NO_ENTRY) return { revision: at };
    if (revision === undefined && this.isOverdue(number)) return this.getOverdue(key);
    // With its value, which nothing but a wish for keys alone leaves out.
    const found = reader.entry(key, number, at);
    if (found instanceof PastSearch) return this.#getSlowly(found, at);
    const entry = found as Entry | undefined;
    return entry === undefined ? { revision: at } : { revision: at, entry };
  }

  list(range: Range, options: ListOptions): MaybePromise<ListResult> {
    checkRange(range);
    checkList(options, this.#options.limits);
    return this.#read(options, (at) => new RangedRead(range, options, at));
  }

  /** Hands the entries of a range to `sink`, up to where it is full. */
  scan(range: Range, options: ScanOptions, sink: EntrySink): MaybePromise<ScanResult> {
    checkRange(range);
    checkScan(options);
    return this.#read(options, (at) => {
      // What an attempt before it has handed over does not count.
      sink.clear();
      return new ScanRead(range, options, sink, at);
    });
  }

  /**
   * Runs many operations from `from` on: gets in this turn, where they are not too many; from the
   * first other one on all go through the commit loop.
   */
  many(operations: Many, from: number, answers: ManyAnswers): MaybePromise<void> {
    const end = Math.min(operations.count, from + MANY_GETS_A_TURN);
    let at = from;
    for (let foundTo = from; at < end; at++) {
      if (at === foundTo) foundTo = this.#findAhead(operations, at, end);
      if (!this.#answerNow(operations, at, answers)) break;
    }
    if (at === operations.count) return;
    if (at === end) return this.#manyLater(operations, at, answers);
    return this.#options.many(operations, at, answers);
  }

  /** Is an entry (or `NO_ENTRY`) overdue? */
  isOverdue(entry: number): boolean {
    const deadline = entry === NO_ENTRY ? 0 : this.#options.index.deadline(entry);
    return deadline !== 0 && deadline <= this.#options.clock();
  }

  /** A transaction that reads the key lets it expire first. */
  async getOverdue(key: string): Promise<GetResult> {
    const { revision, results } = await this.#options.commit({
      checks: [],
      then: [{ op: "get", key }],
    });
    const [result] = results;
    const entry = result?.op === "get" ? (result.entry as Entry | undefined) : undefined;
    return entry === undefined ? { revision } : { revision, entry };
  }

  async #getSlowly(search: PastSearch, revision: number): Promise<GetResult> {
    const entry = await this.#options.reader.complete(search);
    this.#options.checkOpen();
    this.#options.horizon.readable(revision);
    return entry === undefined ? { revision } : { revision, entry };
  }

  async #manyLater(operations: Many, at: number, answers: ManyAnswers): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    setImmediate(resolve);
    await promise;
    this.#options.checkOpen();
    await this.many(operations, at, answers);
  }

  /** Finds the entries of the gets that follow each other from `at` on; answers up to where. */
  #findAhead(operations: Many, at: number, end: number): number {
    const most = Math.min(end, at + FOUND_AHEAD_MAX);
    let gets = at;
    while (gets < most && operations.kinds[gets] === MANY.get) gets++;
    if (gets === at) return at + 1;
    const { index, reader } = this.#options;
    const to = this.#found.find(index, operations, at, gets);
    reader.touch(this.#found.entries, to - at);
    return to;
  }

  /** Answers a get, unless its key is overdue; another operation only where it cannot be run. */
  #answerNow(operations: Many, at: number, answers: ManyAnswers): boolean {
    try {
      if (operations.kinds[at] === MANY.get) return this.#answerGet(operations, at, answers);
      checkOne(operations, at, this.#options.limits);
      return false;
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      answers.failed(error);
      return true;
    }
  }

  #answerGet(operations: Many, at: number, answers: ManyAnswers): boolean {
    if (answers.isFull) {
      answers.unread();
      return true;
    }
    const { index, horizon, reader, limits } = this.#options;
    const entry = this.#found.of(at);
    if (this.isOverdue(entry)) return false;
    const version = entry === NO_ENTRY ? 0 : index.version(entry);
    if (version === 0) {
      // A key that is known is a valid one.
      if (entry === NO_ENTRY) checkOne(operations, at, limits);
      answers.absent(horizon.revision);
      return true;
    }
    reader.seek(entry);
    const { bytes, start, end } = reader;
    const deadline = index.deadline(entry);
    const revision = index.revision(entry);
    const createRevision = index.createRevision(entry);
    const type = index.contentType(entry);
    answers.found(type, revision, createRevision, version, deadline, bytes, start, end);
    return true;
  }

  #read<T>({ revision }: ReadOptions, begin: BeginRead<T>): MaybePromise<T> {
    // Reads at a revision never look at the clock.
    const now = revision === undefined ? this.#options.clock() : 0;
    const anew = (now: number): SlicedRead<T> => {
      const { index, reader, limits, horizon } = this.#options;
      return begin({ index, reader, limits, revision: horizon.readable(revision), now });
    };
    const read = anew(now);
    const state = read.run();
    return state === "whole" ? read.result() : this.#readOn(read, state, anew);
  }

  /**
   * Goes on with a read that took long, or begins it anew when it met an overdue key. What falls
   * due meanwhile does not count.
   */
  async #readOn<T>(
    read: SlicedRead<T>,
    state: "slow" | "overdue",
    anew: (now: number) => SlicedRead<T>,
  ): Promise<T> {
    if (state === "slow") await read.pause();
    else await this.#expire(read.overdue, read.now);
    this.#options.checkOpen();
    const isGone = state === "overdue" || read.revision < this.#options.horizon.oldest;
    // By a clock that was set back, they are not overdue any more.
    const now = Math.min(read.now, this.#options.clock());
    const next = isGone ? anew(now) : read;
    const after = next.run();
    return after === "whole" ? next.result() : await this.#readOn(next, after, anew);
  }

  /** Lets overdue keys expire: by a transaction that reads them, or with all that were due then. */
  async #expire(keys: readonly string[], now: number): Promise<void> {
    if (keys.length >= EXPIRE_EVENTS_MAX) return await this.#options.settled(now);
    const gets = keys.map((key): Operation => ({ op: "get", key, keys: true }));
    await this.#options.commit({ checks: [], then: gets });
  }
}
