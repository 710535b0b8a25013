/**
 * Holds the frames of one watch against what was committed: ordered, unique, without a hole, each commit
 * whole, and nothing beyond what `progress` has ruled out. Throws at the first frame that is wrong.
 */

import { eventToJson } from "../../src/json.ts";
import { inRange } from "../../src/keys.ts";
import type { Commit, Range } from "../../src/kv.ts";
import type { EndReason, SocketFrame } from "../../src/messages.ts";

export class WatchChecker {
  readonly range: Range;
  /** The revision that `created` answered. */
  readonly created: number;
  /** The watch claims to have shown everything up to here. */
  through: number;
  ended: EndReason | undefined;
  /** Commits that came in several frames. */
  splits = 0;
  readonly commits: { revision: number; events: string[] }[] = [];
  #part: { revision: number; events: string[] } | undefined;

  constructor(range: Range, created: number) {
    this.range = range;
    this.created = created;
    this.through = created;
  }

  receive(frame: SocketFrame): void {
    if (this.ended !== undefined) throw new Error(`a frame after the end: ${shown(frame)}`);
    if (frame.type === "end") this.ended = frame.reason;
    else if (frame.type === "progress") this.#progress(frame.revision);
    else if (frame.type === "change") this.#change(frame);
    else throw new Error(`a frame that no watch asked for: ${shown(frame)}`);
  }

  /** The whole commits that came must be exactly those of `log` above `created`, up to `through`. */
  compare(log: readonly Commit[], through = this.through): void {
    const expected: string[] = [];
    for (const { revision, events } of log) {
      if (revision <= this.created || revision > through) continue;
      const matching = events.filter(({ key }) => inRange(this.range, key));
      if (matching.length === 0) continue;
      const texts = matching.map((event) => JSON.stringify(eventToJson(event)));
      expected.push(`${revision}: ${texts.join(",")}`);
    }
    const got = this.commits.map(({ revision, events }) => `${revision}: ${events.join(",")}`);
    const wrong = expected.findIndex((text, index) => text !== got[index]);
    if (wrong < 0 && got.length === expected.length) return;
    const at = wrong < 0 ? expected.length : wrong;
    throw new Error(
      `${JSON.stringify(this.range)} from above ${this.created} through ${through}: change ${at} ` +
        `should be ${expected[at]?.slice(0, 120)}, is ${got[at]?.slice(0, 120)}`,
    );
  }

  #progress(revision: number): void {
    if (this.#part !== undefined) throw new Error(`progress ${revision} within a commit`);
    if (revision < this.through) throw new Error(`progress ${revision} after ${this.through}`);
    this.through = revision;
  }

  #change(frame: Extract<SocketFrame, { type: "change" }>): void {
    const { revision, events, more } = frame;
    if (events.length === 0) throw new Error(`a change without events: ${shown(frame)}`);
    if (this.#part === undefined) {
      if (revision <= this.through) throw new Error(`${shown(frame)} after ${this.through}`);
      this.#part = { revision, events: [] };
    } else if (this.#part.revision !== revision) {
      throw new Error(`${shown(frame)} within commit ${this.#part.revision}`);
    }
    this.#part.events.push(...events.map((event) => JSON.stringify(event)));
    if (more) {
      this.splits++;
      return;
    }
    this.commits.push(this.#part);
    this.through = revision;
    this.#part = undefined;
  }
}

function shown(frame: SocketFrame): string {
  return JSON.stringify(frame).slice(0, 160);
}
