/**
 * Where each key of a large commit stands in its segment: whoever looks for one key of such a
 * commit most often looks for its other keys next.
 */

import { COMMIT_PLACES_MAX } from "../limits.ts";

/** Offsets by key. */
export type Places = ReadonlyMap<string, number>;

export class CommitPlaces {
  /** By revision, the one used longest ago first. */
  readonly #commits = new Map<number, Places>();
  #count = 0;

  get(revision: number): Places | undefined {
    const places = this.#commits.get(revision);
    if (places === undefined) return undefined;
    this.#commits.delete(revision);
    this.#commits.set(revision, places);
    return places;
  }

  /** Keeps the places of a commit, and forgets others when they are too many. */
  add(revision: number, places: Places): void {
    this.#commits.set(revision, places);
    this.#count += places.size;
    for (const [oldest, { size }] of this.#commits) {
      if (this.#count <= COMMIT_PLACES_MAX || oldest === revision) return;
      this.#commits.delete(oldest);
      this.#count -= size;
    }
  }
}
