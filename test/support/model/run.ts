/** One run of a transaction's operations on the model: what they answer, and their net effect. */

import { KvError } from "../../../src/errors.ts";
import { compareKeys, inRange } from "../../../src/keys.ts";
import type {
  Check,
  DeleteRangeOperation,
  Entry,
  Event,
  IncrOperation,
  ListedEntry,
  Operation,
  OperationResult,
} from "../../../src/kv.ts";
import type { Limits } from "../../../src/limits.ts";
import { checkReadSize } from "../../../src/rules.ts";
import { pageOf, withoutValue } from "./page.ts";

/** The live entries before the transaction, by key. */
export type State = ReadonlyMap<string, Entry>;

export interface RunOptions {
  /** The revision that the commit takes, if it changes anything. */
  readonly revision: number;
  /** Milliseconds since 1970, for the whole transaction. */
  readonly now: number;
  readonly limits: Limits;
}

export function holds(check: Check, state: State): boolean {
  const entry = state.get(check.key);
  const met =
    check.revision !== undefined
      ? isOneOf(check.revision, entry?.revision)
      : check.version !== undefined
        ? isOneOf(check.version, entry?.version)
        : entry !== undefined && Buffer.compare(entry.value, check.value) === 0;
  return met !== (check.not ?? false);
}

export class Run {
  results: OperationResult[] = [];
  readonly #before: State;
  readonly #options: RunOptions;
  /** What each changed key has become, in the order of the last operation that changed it. */
  readonly #touched = new Map<string, Entry | undefined>();
  #readBytes = 0;

  constructor(before: State, options: RunOptions) {
    this.#before = before;
    this.#options = options;
  }

  /** @throws what the first operation fails with that does, with its index. */
  perform(operations: readonly Operation[]): void {
    for (const [index, operation] of operations.entries()) {
      try {
        // The results before may be others afterwards: a delete undoes them.
        const result = this.#result(operation);
        this.results.push(result);
      } catch (error) {
        if (!(error instanceof KvError)) throw error;
        throw new KvError(error.code, error.message, { ...error.details, index });
      }
    }
  }

  /** The net effect. */
  events(): Event[] {
    const { revision } = this.#options;
    const events: Event[] = [];
    for (const [key, entry] of this.#touched) {
      if (entry !== undefined) events.push({ type: "put", ...entry });
      else if (this.#before.has(key)) events.push({ type: "delete", key, revision });
    }
    return events;
  }

  /** Nothing is committed: what was shown of this transaction's own entries has no revision. */
  takeBackRevision(): void {
    const { revision } = this.#options;
    const shown = (entry: ListedEntry): ListedEntry =>
      entry.revision === revision ? { ...entry, revision: 0, createRevision: 0 } : entry;
    this.results = this.results.map((result) => {
      if (result.op === "list") return { ...result, entries: result.entries.map(shown) };
      if (result.op !== "get" || result.entry === undefined) return result;
      return { ...result, entry: shown(result.entry) };
    });
  }

  #result(operation: Operation): OperationResult {
    const { limits } = this.#options;
    switch (operation.op) {
      case "put": {
        const { op, key, value, contentType, ttl } = operation;
        return { op, ...this.#put(key, value, contentType, this.#deadline(key, ttl)) };
      }
      case "touch": {
        const { op, key, ttl } = operation;
        const entry = this.#current(key);
        if (entry === undefined) throw new KvError("not_found", "there is no such key");
        const expiresAt = ttl === "none" ? undefined : this.#deadline(key, ttl);
        return { op, ...this.#put(key, entry.value, entry.contentType, expiresAt) };
      }
      case "incr":
        return this.#incr(operation);
      case "delete":
        return { op: operation.op, deleted: this.#delete(operation.key) };
      case "deleteRange":
        return this.#deleteRange(operation);
      case "get": {
        const { op, key, keys } = operation;
        const entry = this.#current(key);
        if (entry === undefined) return { op };
        return { op, entry: this.#read(keys ? withoutValue(entry) : entry) };
      }
      case "list": {
        const { op, range, ...options } = operation;
        const { next: _, ...page } = pageOf(this.#all().values(), range, options, limits);
        for (const entry of page.entries) this.#read(entry);
        return { op, ...page };
      }
    }
  }

  #put(key: string, value: Uint8Array, contentType: string, expiresAt: number | undefined) {
    const { revision } = this.#options;
    const before = this.#current(key);
    const createRevision = before?.createRevision ?? revision;
    let version = 1;
    // A second change in one transaction is the same change.
    if (before !== undefined) version = before.version + (before.revision === revision ? 0 : 1);
    const changed = { key, revision, createRevision, version, ...deadlineOf(expiresAt) };
    this.#touch(key, { ...changed, value: value.slice(), contentType });
    return changed;
  }

  #incr({ op, key, by, ttl }: IncrOperation): OperationResult {
    const entry = this.#current(key);
    const before = entry === undefined ? 0n : integerOf(entry.value);
    if (before === undefined) throw new KvError("conflict", "the value is no integer of 64 bits");
    const value = before + by;
    if (!fits(value)) throw new KvError("conflict", "the sum does not fit 64 bits");
    const contentType = entry?.contentType ?? "text/plain; charset=utf-8";
    const expiresAt = entry === undefined ? this.#deadline(key, ttl) : entry.expiresAt;
    return { op, value, ...this.#put(key, Buffer.from(String(value)), contentType, expiresAt) };
  }

  /** Keys that were there and are gone: 0 or 1. */
  #delete(key: string): number {
    if (this.#current(key) === undefined) return 0;
    this.#touch(key, undefined);
    // What became of the entry earlier in this transaction is undone.
    this.results = this.results.map((result) => {
      if (!("version" in result) || result.key !== key) return result;
      const { expiresAt: _, ...rest } = result;
      return { ...rest, revision: 0, createRevision: 0, version: 0 };
    });
    return 1;
  }

  #deleteRange({ op, range, limit }: DeleteRangeOperation): OperationResult {
    const { commitEventsMax } = this.#options.limits;
    const found = [...this.#all().keys()].filter((key) => inRange(range, key));
    if (limit === undefined && found.length > commitEventsMax) {
      throw new KvError("too_large", `${found.length} keys`, { limit: commitEventsMax });
    }
    const gone = found.toSorted(compareKeys).slice(0, limit);
    for (const key of gone) this.#delete(key);
    return { op, deleted: gone.length, more: gone.length < found.length };
  }

  /** When an entry expires that is put now. */
  #deadline(key: string, ttl: number | "keep" | undefined): number | undefined {
    if (ttl === "keep") return this.#current(key)?.expiresAt;
    return ttl === undefined ? undefined : this.#options.now + ttl;
  }

  #current(key: string): Entry | undefined {
    return this.#touched.has(key) ? this.#touched.get(key) : this.#before.get(key);
  }

  /** Every entry at this place of the transaction. */
  #all(): Map<string, Entry> {
    const all = new Map(this.#before);
    for (const [key, entry] of this.#touched) {
      if (entry === undefined) all.delete(key);
      else all.set(key, entry);
    }
    return all;
  }

  #touch(key: string, entry: Entry | undefined): void {
    this.#touched.delete(key);
    this.#touched.set(key, entry);
  }

  #read(entry: ListedEntry): ListedEntry {
    this.#readBytes += entry.value?.length ?? 0;
    checkReadSize(this.#readBytes, this.#options.limits);
    return entry;
  }
}

// --- internal ---

/** An absent key's own number is 0. */
function isOneOf(wanted: number | readonly number[], own: number = 0): boolean {
  return [wanted].flat().includes(own);
}

function deadlineOf(expiresAt: number | undefined) {
  return expiresAt === undefined ? undefined : { expiresAt };
}

function integerOf(value: Uint8Array): bigint | undefined {
  const text = Buffer.from(value).toString("latin1");
  if (!/^-?[0-9]{1,19}$/.test(text)) return undefined;
  const integer = BigInt(text);
  // One spelling only: no leading zeros, no -0.
  return String(integer) === text && fits(integer) ? integer : undefined;
}

function fits(value: bigint): boolean {
  return BigInt.asIntN(64, value) === value;
}
