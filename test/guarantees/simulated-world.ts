/** Commits and compactions at random, on a clock of their own: something for watches to watch. */

import type { Entry, Event } from "../../src/kv.ts";
import { compareKeys } from "../../src/keys.ts";
import type { Random } from "../support/random.ts";
import { bytes, TEXT } from "../support/stores.ts";
import { KEYS } from "./filters.ts";
import { Truth } from "./truth.ts";

export class SimulatedWorld {
  readonly truth = new Truth(crypto.randomUUID());
  /** When it ends, in milliseconds from 0. */
  readonly end: number;
  readonly #times: number[] = [];

  constructor(random: Random, commits = 200) {
    const state = new Map<string, Entry>();
    let revision = 0;
    let at = 0;
    for (let count = 0; count < commits; count++) {
      at += random.oneIn(20) ? random.below(300) : 1 + random.below(20);
      revision += random.oneIn(10) ? 1 + random.below(4) : 1;
      const events = randomEvents(random, state, revision);
      this.truth.add([{ revision, events }], revision);
      this.truth.known.note(revision, at);
      this.#times.push(at);
      if (random.oneIn(25)) this.#compact(random, at);
    }
    this.end = at + 100;
  }

  /** The newest revision at a time. */
  revision(at: number): number {
    return this.#commits(at).at(-1)?.revision ?? 0;
  }

  /** The smallest revision that can be read at a time. */
  oldest(at: number): number {
    const done = this.truth.compactions.filter(({ answered }) => answered! <= at);
    return Math.max(0, ...done.map(({ revision }) => revision));
  }

  #commits(at: number): readonly { readonly revision: number }[] {
    const later = this.#times.findIndex((time) => time > at);
    return this.truth.commits.slice(0, later < 0 ? undefined : later);
  }

  #compact(random: Random, at: number): void {
    const oldest = this.oldest(at);
    const revision = oldest + random.below(this.revision(at) - oldest + 1);
    if (revision > oldest) this.truth.compactions.push({ revision, sent: at, answered: at });
  }
}

// --- internal ---

function randomEvents(random: Random, state: Map<string, Entry>, revision: number): Event[] {
  const present = [...state.keys()].toSorted(compareKeys);
  if (random.oneIn(10) && present.length > 0) {
    const keys = present.filter(() => random.oneIn(3)).concat(present[0]!);
    return [...new Set(keys)].map((key) => remove(state, "expire", key, revision));
  }
  const count = random.oneIn(3) ? 2 + random.below(5) : 1;
  const keys = new Set(Array.from({ length: count }, () => random.pick(KEYS)));
  return [...keys].map((key) => {
    const isDeleted = state.has(key) && random.oneIn(3);
    return isDeleted ? remove(state, "delete", key, revision) : put(random, state, key, revision);
  });
}

function put(random: Random, state: Map<string, Entry>, key: string, revision: number): Event {
  const before = state.get(key);
  const entry: Entry = {
    key,
    value: random.oneIn(8) ? Uint8Array.of(255, random.below(256)) : bytes(`value ${revision}`),
    contentType: TEXT,
    revision,
    createRevision: before?.createRevision ?? revision,
    version: (before?.version ?? 0) + 1,
    ...(random.oneIn(4) ? { expiresAt: 1_700_000_000_000 + revision } : undefined),
  };
  state.set(key, entry);
  return { type: "put", ...entry };
}

function remove(
  state: Map<string, Entry>,
  type: "delete" | "expire",
  key: string,
  revision: number,
): Event {
  state.delete(key);
  return { type, key, revision };
}
