/**
 * What one client asks, at random: few hot keys that everybody wants, cold ones, counters and keys
 * that expire. A client makes the same choices again from the same seed; the revisions and values
 * in its conditions are those that it was shown.
 */

import type { Random } from "../support/random.ts";
import type { Asked, Check, Operation, Shown, Step } from "./history.ts";
import { stepsOf } from "./history.ts";

export interface WorkloadOptions {
  /** Stands before every key. */
  readonly prefix?: string;
  /** Time to live in milliseconds, at most. */
  readonly ttlMsMax?: number;
}

/** Every key that a workload uses, in order. */
export function workloadKeys(prefix = ""): string[] {
  const keys = [
    ...Array.from({ length: COLD }, (_, at) => cold(at)),
    ...Array.from({ length: HOT }, (_, at) => `h/${at}`),
    ...Array.from({ length: COUNTERS }, (_, at) => `n/${at}`),
    ...Array.from({ length: EXPIRING }, (_, at) => `t/${at}`),
  ];
  return keys.map((key) => prefix + key);
}

export class Workload {
  readonly #random: Random;
  readonly #client: string;
  readonly #prefix: string;
  readonly #ttlMsMax: number;
  /** What the answers so far showed of each key last. */
  readonly #shown = new Map<string, Shown | null>();
  #newest = 0;
  #serial = 0;

  constructor(random: Random, client: string, options: WorkloadOptions = {}) {
    this.#random = random;
    this.#client = client;
    this.#prefix = options.prefix ?? "";
    this.#ttlMsMax = options.ttlMsMax ?? 300;
  }

  next(): Asked {
    const random = this.#random;
    const kind = random.below(100);
    if (kind < 30) return this.#at({ then: [{ op: "get", key: this.#key() }] });
    if (kind < 36) return this.#at({ then: [this.#list()] });
    if (kind < 82) return this.#single();
    return {
      checks: Array.from({ length: random.below(3) }, () => this.#check(this.#key())),
      then: Array.from({ length: 1 + random.below(4) }, () => this.#step()),
      ...(random.oneIn(2) ? { else: [this.#step()] } : undefined),
    };
  }

  /** Takes note of what an answer showed. */
  learn(operation: Operation): void {
    const { answer } = operation;
    if (answer.kind !== "done") return;
    this.#newest = Math.max(this.#newest, answer.revision ?? 0);
    for (const [at, step] of stepsOf(operation).entries()) {
      const result = answer.results[at];
      if (result === undefined) continue;
      for (const entry of result.entries ?? []) this.#shown.set(entry.key!, entry);
      if (!("key" in step)) continue;
      const { key, op } = step;
      if (op === "get" && result.entry !== undefined) this.#shown.set(key, result.entry);
      else if (op === "delete") this.#shown.set(key, null);
      else if (op === "put") this.#shown.set(key, { ...result, value: step.value });
      else if (op === "incr") this.#shown.set(key, result);
    }
  }

  /** A write of one key, under a condition at times, as the routes for single keys take it. */
  #single(): Asked {
    const random = this.#random;
    const step = this.#write();
    if (!("key" in step)) return { then: [step] };
    const { key } = step;
    if (random.below(3) > 0) return { then: [step] };
    const revision = this.#shown.get(key)?.revision ?? 0;
    const check = random.pick<Check>([
      { key, revision },
      { key, revision: revision === 0 ? 1 : [revision, revision + 1] },
      { key, revision: 0, not: random.oneIn(2) },
    ]);
    return { checks: [check], then: [step], else: [{ op: "get", key }] };
  }

  /** Now, or at a revision that is not long ago. */
  #at(asked: Asked): Asked {
    const at = this.#newest - this.#random.below(20);
    return this.#random.oneIn(8) && at > 0 ? { ...asked, at } : asked;
  }

  #check(key: string): Check {
    const random = this.#random;
    const shown = this.#shown.get(key);
    const not = random.oneIn(4);
    const check = random.pick<Check>([
      { key, revision: shown?.revision ?? 0 },
      { key, revision: [shown?.revision ?? 0, 0] },
      { key, version: shown?.version ?? 0 },
      { key, value: shown?.value ?? "0" },
    ]);
    return not ? { ...check, not } : check;
  }

  #step(): Step {
    const random = this.#random;
    if (random.oneIn(4)) return { op: "get", key: this.#key() };
    return random.oneIn(12) ? this.#list() : this.#write();
  }

  #write(): Step {
    const random = this.#random;
    const key = this.#key();
    const kind = random.below(100);
    if (kind < 55) return { op: "put", key, value: this.#value(key), ...this.#ttl(key) };
    if (kind < 75) return { op: "delete", key };
    if (kind < 88) {
      const counter = random.oneIn(20) ? key : `${this.#prefix}n/${random.below(COUNTERS)}`;
      return { op: "incr", key: counter, by: String(random.below(7) - 2) };
    }
    if (kind < 96) {
      return { op: "touch", key, ttl: random.pick([1 + random.below(this.#ttlMsMax), "none"]) };
    }
    const range = { prefix: this.#prefix + random.pick(["t/", "c/0", "h/1"]) };
    return { op: "deleteRange", range, ...(random.oneIn(2) ? { limit: 2 } : undefined) };
  }

  #list(): Step {
    const random = this.#random;
    const range = { prefix: this.#prefix + random.pick(["h/", "n/", "t/", "c/1"]) };
    if (random.oneIn(4)) return { op: "count", range };
    const reverse = random.oneIn(3) ? { reverse: true } : undefined;
    return { op: "list", range, ...(random.oneIn(2) ? { limit: 3 } : undefined), ...reverse };
  }

  #key(): string {
    const random = this.#random;
    const kind = random.below(10);
    if (kind < 6) return `${this.#prefix}h/${random.below(HOT)}`;
    if (kind < 7) return `${this.#prefix}n/${random.below(COUNTERS)}`;
    if (kind < 8) return `${this.#prefix}t/${random.below(EXPIRING)}`;
    return this.#prefix + cold(random.below(COLD));
  }

  /** No two values are the same, but integers, which a counter may start from. */
  #value(key: string): string {
    if (key.startsWith(`${this.#prefix}n/`)) return String(this.#random.below(1_000));
    return `${this.#client}-${++this.#serial}`;
  }

  #ttl(key: string): { ttl?: number | "keep" } {
    const random = this.#random;
    const expires = key.startsWith(`${this.#prefix}t/`) ? 1 : 15;
    if (random.oneIn(expires)) return { ttl: 1 + random.below(this.#ttlMsMax) };
    return random.oneIn(8) ? { ttl: "keep" } : {};
  }
}

// --- internal ---

const HOT = 5;
const COUNTERS = 3;
const EXPIRING = 6;
const COLD = 60;

function cold(at: number): string {
  return `c/${String(at).padStart(2, "0")}`;
}
