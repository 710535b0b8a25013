/**
 * One run of a list of operations: what each answers, and what they make of the keys together.
 * Later operations see earlier ones; nothing else does until the run is committed.
 */

import { KvError } from "../errors.ts";
import { int64FromText, isInt64 } from "../int64.ts";
import { compareKeys, inRange, rangeEnd, rangeStart } from "../keys.ts";
import type {
  DeleteRangeOperation,
  IncrOperation,
  ListedEntry,
  ListOperation,
  Operation,
  OperationResult,
  PutOperation,
  Range,
  TouchOperation,
} from "../kv.ts";
import { TXN_SCAN_KEYS_MAX, type Limits } from "../limits.ts";
import { TEXT_TYPE } from "../protocol.ts";
import { checkCommitSize, checkMadeSize, checkReadSize } from "../rules.ts";
import { decodeUtf8, encodeUtf8, quote } from "../text.ts";
import { Listing, type KeySource } from "./listing.ts";
import { lowerBound } from "./sorted.ts";
import type { Known } from "./state.ts";

/** What an operation made of a key. */
export interface Pending extends Known {
  readonly value: Uint8Array;
}

export interface RunOptions {
  /** The one that the run's commit will take. */
  readonly revision: number;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly limits: Limits;
  /** The keys of the state, in order. */
  readonly keys: KeySource;
  /** What a key is before the run; `undefined` when it is absent. */
  readonly before: (key: string) => Known | undefined;
  /** The value of what `before` answered. */
  readonly value: (known: Known) => Uint8Array;
}

export class Run {
  readonly revision: number;
  readonly results: OperationResult[] = [];
  /**
   * What keys become (`undefined`: absent), in the order of the last operation that changed each.
   */
  readonly touched = new Map<string, Pending | undefined>();
  /** Keys of ranges that are overdue: they were taken as absent, and have to expire first. */
  readonly overdue = new Set<string>();
  readonly #options: RunOptions;
  /** Where the results are of each key's changes that no delete has undone. */
  readonly #changes = new Map<string, number[]>();
  /** Keys that the run touched and the state does not have, in order. */
  readonly #added: string[] = [];
  /** Bytes of values in results. */
  #readBytes = 0;
  /** Keys that lists and deletions of ranges looked at. */
  #scanned = 0;
  /** Bytes of values that the run has made so far. */
  #madeBytes = 0;

  constructor(options: RunOptions) {
    this.revision = options.revision;
    this.#options = options;
  }

  /** @throws what the operation fails with, and at which `index`; the run is over then. */
  perform(operation: Operation, index: number): void {
    try {
      this.#perform(operation);
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      throw new KvError(error.code, error.message, { ...error.details, index }, error.cause);
    }
  }

  #perform(operation: Operation): void {
    switch (operation.op) {
      case "put":
        return this.#put(operation);
      case "delete":
        return this.#delete(operation.key);
      case "deleteRange":
        return this.#deleteRange(operation);
      case "incr":
        return this.#incr(operation);
      case "touch":
        return this.#touch(operation);
      case "get":
        return this.#get(operation.key, operation.keys ?? false);
      case "list":
        return this.#list(operation);
    }
  }

  /** What the operations so far made of a key; `undefined` when it is absent. */
  #current(key: string): Known | undefined {
    if (this.touched.has(key)) return this.touched.get(key);
    const { before, now } = this.#options;
    const known = before(key);
    if (known === undefined || known.deadline === 0 || known.deadline > now) return known;
    this.overdue.add(key);
    return undefined;
  }

  #value(known: Known): Uint8Array {
    return "value" in known ? (known as Pending).value : this.#options.value(known);
  }

  #put({ op, key, value, contentType, ttl }: PutOperation): void {
    const kept = ttl === "keep" ? (this.#current(key)?.deadline ?? 0) : 0;
    const deadline = typeof ttl === "number" ? this.#options.now + ttl : kept;
    // A copy stays in memory: the caller may use its bytes again once it was answered.
    this.#change(key, value.slice(), contentType, deadline);
    this.#answer({ op, ...this.#changed(key) });
  }

  #incr({ op, key, by, ttl }: IncrOperation): void {
    const before = this.#current(key);
    const sum = (before === undefined ? 0n : this.#integer(key, before)) + by;
    if (!isInt64(sum)) {
      throw new KvError(
        "conflict",
        `the key ${quote(key)} plus ${by} would be ${sum}, which has more than 64 bits`,
      );
    }
    const created = ttl === undefined ? 0 : this.#options.now + ttl;
    const deadline = before === undefined ? created : before.deadline;
    this.#change(key, encodeUtf8(String(sum)), before?.contentType ?? TEXT_TYPE, deadline);
    this.#answer({ op, value: sum, ...this.#changed(key) });
  }

  #touch({ op, key, ttl }: TouchOperation): void {
    const before = this.#current(key);
    if (before === undefined) {
      throw new KvError("not_found", `there is no key ${quote(key)}`, {
        storeRevision: this.revision - 1,
      });
    }
    const kept = ttl === "keep" ? before.deadline : 0;
    const deadline = typeof ttl === "number" ? this.#options.now + ttl : kept;
    this.#change(key, this.#value(before), before.contentType, deadline);
    this.#answer({ op, ...this.#changed(key) });
  }

  #delete(key: string): void {
    const deleted = this.#current(key) === undefined ? 0 : 1;
    if (deleted === 1) this.#remove(key);
    this.results.push({ op: "delete", deleted });
  }

  #deleteRange({ op, range, limit }: DeleteRangeOperation): void {
    const keys: string[] = [];
    let more = false;
    for (const key of this.#keysIn(range)) {
      if (this.#current(key) === undefined) continue;
      more = keys.length === limit;
      if (more) break;
      keys.push(key);
      // Without a limit nothing is left over in silence.
      checkCommitSize(keys.length, 0, this.#options.limits);
    }
    for (const key of keys) this.#remove(key);
    this.results.push({ op, deleted: keys.length, more });
  }

  #get(key: string, keys: boolean): void {
    const entry = this.#entry(key, keys);
    this.#countRead(entry?.value?.length ?? 0);
    this.results.push(entry === undefined ? { op: "get" } : { op: "get", entry });
  }

  #list({ op, range, ...shape }: ListOperation): void {
    const listing = new Listing(this.#source(range), range, shape, this.#options.limits);
    listing.gather(
      (key, keys) => this.#entry(key, keys),
      () => {
        // At once: what is too large in all must not be read to its end.
        checkReadSize(this.#readBytes + listing.bytes, this.#options.limits);
        return false;
      },
    );
    this.#countRead(listing.bytes);
    const { next: _, ...page } = listing.page();
    this.results.push({ op, ...page });
  }

  #entry(key: string, keys: boolean): ListedEntry | undefined {
    const known = this.#current(key);
    if (known === undefined) return undefined;
    const { contentType, revision, createRevision, version, deadline } = known;
    const info = {
      key,
      contentType,
      revision,
      createRevision,
      version,
      ...(deadline === 0 ? undefined : { expiresAt: deadline }),
    };
    return keys ? info : { ...info, value: this.#value(known) };
  }

  #integer(key: string, known: Known): bigint {
    const bytes = this.#value(known);
    const text = bytes.length > INTEGER_BYTES_MAX ? undefined : decodeUtf8(bytes);
    const value = text === undefined ? undefined : int64FromText(text);
    if (value !== undefined) return value;
    throw new KvError(
      "conflict",
      `the value of ${quote(key)} is no integer of 64 bits in decimal digits, such as 42 or -7`,
    );
  }

  #countRead(bytes: number): void {
    this.#readBytes += bytes;
    checkReadSize(this.#readBytes, this.#options.limits);
  }

  // What becomes of keys

  #change(key: string, value: Uint8Array, contentType: string, deadline: number): void {
    const { revision } = this;
    const before = this.#current(key);
    const createRevision = before?.createRevision ?? revision;
    let version = 1;
    // A second change in the same transaction is the same change.
    if (before !== undefined) version = before.version + Number(before.revision !== revision);
    // A touch is a few bytes that make many: no number of them may fill the memory.
    this.#madeBytes += value.length;
    checkMadeSize(this.#madeBytes, this.#options.limits);
    this.#become(key, { value, contentType, revision, createRevision, version, deadline });
  }

  #remove(key: string): void {
    if (this.touched.get(key) !== undefined) this.#undoChanges(key);
    this.#become(key, undefined);
  }

  #become(key: string, pending: Pending | undefined): void {
    if (!this.touched.delete(key) && this.#options.before(key) === undefined) {
      this.#added.splice(lowerBound(this.#added, key), 0, key);
    }
    this.touched.set(key, pending);
  }

  #changed(key: string) {
    const { revision, createRevision, version, deadline } = this.touched.get(key)!;
    const changed = { key, revision, createRevision, version };
    return deadline === 0 ? changed : { ...changed, expiresAt: deadline };
  }

  #answer(result: OperationResult & { key: string }): void {
    const places = this.#changes.get(result.key);
    if (places === undefined) this.#changes.set(result.key, [this.results.length]);
    else places.push(this.results.length);
    this.results.push(result);
  }

  /** The changes of a key that is now deleted left no trace: their results say so. */
  #undoChanges(key: string): void {
    const nothing = { key, revision: 0, createRevision: 0, version: 0 };
    for (const at of this.#changes.get(key) ?? []) {
      const result = this.results[at]!;
      if (result.op === "incr") this.results[at] = { op: "incr", value: result.value, ...nothing };
      else if (result.op === "put" || result.op === "touch") {
        this.results[at] = { op: result.op, ...nothing };
      }
    }
    this.#changes.delete(key);
  }

  // Keys in order

  /** Keys of a range that the state or the run knows, in order. */
  *#keysIn(range: Range): Generator<string> {
    const keys = this.#source(range).up(rangeStart(range));
    for (let next = keys.next(); next.done !== true; next = keys.next()) {
      if (!inRange(range, next.value)) return;
      yield next.value;
    }
  }

  /** The keys of the state and those the run added, merged. */
  #source(range: Range): KeySource {
    const { keys } = this.#options;
    const added = this.#added;
    const count = (): void => {
      this.#scanned++;
      if (this.#scanned <= TXN_SCAN_KEYS_MAX) return;
      throw new KvError(
        "too_large",
        `the lists and deletions of ranges of one transaction look at more than ` +
          `${TXN_SCAN_KEYS_MAX} keys; list or count outside of a transaction`,
        { limit: TXN_SCAN_KEYS_MAX },
      );
    };
    return {
      up: (start) => {
        const own = added.slice(lowerBound(added, start));
        return merge(keys.up(start), own.values(), compareKeys, count);
      },
      down: (end = rangeEnd(range)) => {
        const below = end === undefined ? added.length : lowerBound(added, end);
        const own = added.slice(0, below).toReversed();
        return merge(keys.down(end), own.values(), (a, b) => compareKeys(b, a), count);
      },
    };
  }
}

/**
 * Results of a transaction that changed nothing in the end: a revision that is not taken must not
 * be shown, whatever its operations saw of each other. What has it was made by them and is gone.
 */
export function neverTaken({ results, revision }: Run): OperationResult[] {
  const zero = <E extends { revision: number; createRevision: number }>(entry: E): E =>
    entry.revision === revision ? { ...entry, revision: 0, createRevision: 0 } : entry;
  return results.map((result) => {
    if (result.op === "list") return { ...result, entries: result.entries.map(zero) };
    if (result.op !== "get" || result.entry === undefined) return result;
    return { op: "get", entry: zero(result.entry) };
  });
}

// --- internal ---

/** Bytes of the longest integer of 64 bits. */
const INTEGER_BYTES_MAX = 20;

function* merge(
  a: Iterator<string>,
  b: Iterator<string>,
  compare: (a: string, b: string) => number,
  count: () => void,
): Generator<string, undefined> {
  let left = a.next();
  let right = b.next();
  for (;;) {
    const leftFirst =
      left.done !== true && (right.done === true || compare(left.value, right.value) <= 0);
    if (!leftFirst && right.done === true) return undefined;
    count();
    if (leftFirst) {
      // A key that was deleted before is known to both.
      if (right.done !== true && left.value === right.value) right = b.next();
      yield left.value as string;
      left = a.next();
    } else {
      yield right.value as string;
      right = b.next();
    }
  }
}
