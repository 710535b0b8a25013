/**
 * Which revisions of an open store can be read and watched: between the oldest one and the newest,
 * but for those that are void (handed out, perhaps, before a crash took their commits).
 */

import type { HistoryOptions } from "../kv.ts";
import type { Limits } from "../limits.ts";
import { checkHistory, checkWatchable, compactedError, readableRevision } from "../rules.ts";

/** Revisions that are lost and never used again: `first` to `last`, both included. */
export interface Void {
  readonly first: number;
  readonly last: number;
}

export interface HorizonStart {
  readonly revision: number;
  readonly oldest: number;
  readonly voids: readonly Void[];
}

export class Horizon {
  /** The newest revision that reads show. */
  revision: number;
  #oldest: number;
  /** In order; none of them ends at or below the oldest readable revision. */
  #voids: readonly Void[];

  constructor({ revision, oldest, voids }: HorizonStart) {
    this.revision = revision;
    this.#oldest = oldest;
    this.#voids = voids.filter(({ last }) => last > oldest);
  }

  /** The oldest readable revision. */
  get oldest(): number {
    return this.#oldest;
  }

  set oldest(revision: number) {
    this.#oldest = revision;
    this.#voids = this.#voids.filter(({ last }) => last > revision);
  }

  /** In order: revisions that are lost, but for those that are forgotten anyway. */
  get voids(): readonly Void[] {
    return this.#voids;
  }

  /** The void that a revision is in. */
  voidAt(revision: number): Void | undefined {
    return this.#voids.find(({ first, last }) => first <= revision && revision <= last);
  }

  /**
   * The revision to read at: the newest one when none is asked for. The last revision of a void can
   * be read: its state is what survived.
   * @throws `compacted`, `invalid_argument`.
   */
  readable(asked: number | undefined): number {
    const revision = readableRevision(asked, this.revision, this.#oldest);
    const within = this.voidAt(revision);
    if (within === undefined || revision === within.last) return revision;
    throw compactedError("revision", revision, within.last);
  }

  /**
   * May changes at `from` and later be watched? Who begins in a void has seen what is lost; its
   * first revision is where somebody goes on who has seen nothing of it.
   * @throws `compacted`, `invalid_argument`.
   */
  checkWatchable(from: number): void {
    checkWatchable(from, this.revision, this.#oldest);
    const within = this.voidAt(from);
    if (within === undefined || from === within.first) return;
    throw compactedError("from", from, within.last + 1);
  }

  /**
   * Who goes on below a revision inside a void has seen what is lost.
   * @throws `compacted`, `invalid_argument`.
   */
  checkHistory(options: HistoryOptions, limits: Limits): void {
    checkHistory(options, this.#oldest, limits);
    const { before = 0 } = options;
    const within = this.voidAt(before);
    if (within === undefined || before === within.first || before === within.last) return;
    throw compactedError("before", before, within.last);
  }
}
