/** The newest commits in memory, up to a number of bytes, for watchers that are caught up. */

import { inRanges } from "../keys.ts";
import type { Changes, Commit, Range } from "../kv.ts";
import { CHANGES_SCAN_BYTES } from "../limits.ts";

/** What an event counts beyond its value. */
const EVENT_OVERHEAD_BYTES = 256;

export class Recent {
  readonly #bytesMax: number;
  /** In order of revision; those before `#first` are gone. */
  #commits: Commit[] = [];
  #first = 0;
  #bytes = 0;
  /** Every commit above this revision is here. */
  #above: number;

  constructor(revision: number, bytesMax: number) {
    this.#above = revision;
    this.#bytesMax = bytesMax;
  }

  add(commit: Commit): void {
    this.#commits.push(commit);
    this.#bytes += bytesOf(commit);
    while (this.#bytes > this.#bytesMax) this.#drop();
    if (this.#first > 1024 && this.#first * 2 > this.#commits.length) {
      this.#commits = this.#commits.slice(this.#first);
      this.#first = 0;
    }
  }

  /** The next chunk of changes at `from` and above, or `undefined` when the log has to be read. */
  changes(from: number, ranges: readonly Range[]): Changes | undefined {
    if (from <= this.#above) return undefined;
    const commits: Commit[] = [];
    let through = from - 1;
    let bytes = 0;
    for (let at = this.#find(from); at < this.#commits.length; at++) {
      const commit = this.#commits[at]!;
      const matching = restrict(commit, ranges);
      if (matching !== undefined) commits.push(matching);
      through = commit.revision;
      bytes += bytesOf(commit);
      if (bytes > CHANGES_SCAN_BYTES) break;
    }
    return { commits, through };
  }

  #drop(): void {
    const commit = this.#commits[this.#first]!;
    // Lets go of the values at once; the array is cut now and then.
    this.#commits[this.#first] = { revision: commit.revision, events: [] };
    this.#first++;
    this.#bytes -= bytesOf(commit);
    this.#above = commit.revision;
  }

  /** The first commit at or above a revision. */
  #find(revision: number): number {
    let low = this.#first;
    let high = this.#commits.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#commits[middle]!.revision < revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The part of a commit that ranges hold, or `undefined` when there is none. */
export function restrict(commit: Commit, ranges: readonly Range[]): Commit | undefined {
  const events = commit.events.filter((event) => inRanges(ranges, event.key));
  if (events.length === 0) return undefined;
  return events.length === commit.events.length ? commit : { revision: commit.revision, events };
}

// --- internal ---

function bytesOf({ events }: Commit): number {
  let bytes = 0;
  for (const event of events) {
    bytes += EVENT_OVERHEAD_BYTES + (event.type === "put" ? event.value.length : 0);
  }
  return bytes;
}
