/**
 * The search for an order of one key's operations that explains their answers: Wing and Gong's
 * (1993) with the improvements of Lowe, "Testing for linearizability" (2017): events in a linked
 * list, from which what is linearised is lifted out, and no configuration (the set of what is
 * linearised, and the state) visited twice.
 */

import type { KeyOperation } from "./key-operations.ts";
import type { KeyState } from "./key-model.ts";

/** What a key can be at a moment when nothing certain is under way. */
export interface Possibility {
  readonly state: KeyState;
  /** Operations of unknown outcome that may still take effect. */
  readonly open: readonly KeyOperation[];
}

export interface Found {
  /** What the key can be afterwards; nothing if no order explains the answers. */
  readonly possibilities: readonly Possibility[];
  /** If there is no order: an operation that none of the longest attempts could explain. */
  readonly stuck?: KeyOperation;
}

/** Thrown when a segment has too many configurations to try them all. */
export class TooHard extends Error {}

/**
 * All outcomes of a segment: `operations` in the order of their calls, from each beginning.
 * @throws `TooHard` after that many configurations.
 */
export function searchSegment(
  beginnings: readonly Possibility[],
  operations: readonly KeyOperation[],
  configurationsMax: number,
): Found {
  if (operations.length === 1 && beginnings.every(({ open }) => open.length === 0)) {
    return alone(beginnings, operations[0]!);
  }
  const open = new Set(beginnings.flatMap((beginning) => beginning.open));
  const older = [...open].sort((a, b) => a.call - b.call);
  const search = new Search(older, operations, configurationsMax);
  for (const beginning of beginnings) search.from(beginning);
  return search.found();
}

// --- internal ---

/** The most common segment by far: one operation and nothing beside it. */
function alone(beginnings: readonly Possibility[], operation: KeyOperation): Found {
  const possibilities = new Map<string, Possibility>();
  for (const { state } of beginnings) {
    for (const after of operation.apply(state)) {
      possibilities.set(stateName(after), { state: after, open: [] });
    }
    if (operation.optional) {
      possibilities.set(`${stateName(state)} open`, { state, open: [operation] });
    }
  }
  const all = [...possibilities.values()];
  return all.length > 0 ? { possibilities: all } : { possibilities: all, stuck: operation };
}

/** A step of the search: what was lifted to come to a configuration, and what to try there next. */
interface Frame {
  /** What was lifted, in this order: one operation, and the pure ones that fit behind it. */
  readonly lifted: number[];
  readonly state: KeyState;
  /** What has an unknown outcome is tried last: it is best kept for later. */
  optional: boolean;
  /** The call to try next, and which of its outcomes. */
  next: number;
  outcome: number;
}

/**
 * Nodes of the list: 0 is its head; the call of operation n is 2n + 1 and its return 2n + 2. An
 * operation of unknown outcome has no return.
 */
class Search {
  readonly #operations: readonly KeyOperation[];
  /** How many of them are of unknown outcome and from before this segment; they come first. */
  readonly #older: number;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** An alike operation that was called before: it goes first. -1: there is none. */
  readonly #alike: Int32Array;
  readonly #linearised: Bits;
  /** The bit of an operation of unknown outcome; 0 for others. */
  readonly #bits: readonly bigint[];
  /** Those of unknown outcome that are linearised. */
  #spent = 0n;
  /**
   * What was spent at the visits of a configuration. Having spent more than at another visit leads
   * nowhere else, as nothing that is unspent needs to take effect.
   */
  readonly #visited = new Map<string, bigint[]>();
  #visits = 0;
  readonly #configurationsMax: number;
  readonly #ends: Possibility[] = [];
  /** Operations with a certain outcome that are still in the list. */
  #certain = 0;
  #fewest = Infinity;
  #stuck: KeyOperation | undefined;

  constructor(
    older: readonly KeyOperation[],
    newer: readonly KeyOperation[],
    configurationsMax: number,
  ) {
    this.#configurationsMax = configurationsMax;
    const operations = [...older, ...newer];
    this.#operations = operations;
    this.#older = older.length;
    const nodes = 2 * operations.length + 1;
    this.#next = new Int32Array(nodes).fill(-1);
    this.#previous = new Int32Array(nodes).fill(-1);
    this.#alike = new Int32Array(operations.length).fill(-1);
    this.#linearised = new Bits(operations.length);
    let bit = 1n;
    this.#bits = operations.map(({ optional }) => (optional ? (bit <<= 1n) : 0n));
    this.#link();
  }

  /** Visits every configuration that can be reached from a beginning. */
  from({ state, open }: Possibility): void {
    const gone: number[] = [];
    for (let at = 0; at < this.#older; at++) {
      if (open.includes(this.#operations[at]!)) continue;
      this.#lift(at);
      gone.push(at);
    }
    this.#explore(state);
    for (const at of gone.toReversed()) this.#unlift(at);
  }

  found(): Found {
    const possibilities = largest(this.#ends);
    if (possibilities.length > 0 || this.#stuck === undefined) return { possibilities };
    return { possibilities, stuck: this.#stuck };
  }

  #explore(beginning: KeyState): void {
    const stack: Frame[] = [];
    this.#enter(stack, [], beginning);
    let frame = stack.at(-1);
    while (frame !== undefined) {
      const at = frame.next;
      if (this.#isCall(at)) {
        const operation = (at - 1) >>> 1;
        const tries = this.#tries(operation, frame.optional);
        const after = tries ? this.#operations[operation]!.apply(frame.state) : [];
        const state = after[frame.outcome++];
        if (frame.outcome > after.length) {
          frame.next = this.#next[at]!;
          frame.outcome = 0;
        } else {
          this.#lift(operation);
          this.#enter(stack, [operation], state);
        }
      } else if (!frame.optional) {
        frame.optional = true;
        frame.next = this.#next[0]!;
      } else {
        stack.pop();
        for (const one of frame.lifted.toReversed()) this.#unlift(one);
      }
      frame = stack.at(-1);
    }
  }

  /**
   * Goes on from a new configuration, or turns back at once from a known one. What only reads and
   * fits is linearised here and now: later would not make anything else possible.
   */
  #enter(stack: Frame[], lifted: number[], state: KeyState): void {
    let before = 0;
    for (let at = this.#next[0]!; this.#isCall(at); at = this.#next[before]!) {
      const operation = (at - 1) >>> 1;
      const { pure } = this.#operations[operation]!;
      if (pure && this.#operations[operation]!.apply(state).length > 0) {
        this.#lift(operation);
        lifted.push(operation);
      } else before = at;
    }
    if (!this.#visit(state)) {
      for (const one of lifted.toReversed()) this.#unlift(one);
      return;
    }
    if (this.#certain < this.#fewest) this.#noteStuck();
    stack.push({ lifted, state, optional: false, next: this.#next[0]!, outcome: 0 });
  }

  /** Is it worth to go on from here? */
  #visit(state: KeyState): boolean {
    const name = `${this.#linearised.name()} ${stateName(state)}`;
    const visits = this.#visited.get(name);
    const spent = this.#spent;
    if (visits === undefined) this.#visited.set(name, [spent]);
    else if (visits.some((less) => (less & ~spent) === 0n)) return false;
    else visits.push(spent);
    if (++this.#visits > this.#configurationsMax) throw new TooHard();
    if (this.#certain === 0) this.#ends.push({ state, open: this.#open() });
    return true;
  }

  /** Pure operations have had their turn; of alike ones the first goes first. */
  #tries(operation: number, inTurn: boolean): boolean {
    const { pure, optional } = this.#operations[operation]!;
    if (pure || optional !== inTurn) return false;
    const alike = this.#alike[operation]!;
    return alike < 0 || (this.#spent & this.#bits[alike]!) !== 0n;
  }

  #open(): KeyOperation[] {
    const open = ({ optional }: KeyOperation, at: number) =>
      optional && (this.#spent & this.#bits[at]!) === 0n;
    return this.#operations.filter(open);
  }

  #noteStuck(): void {
    this.#fewest = this.#certain;
    if (this.#certain === 0) return;
    let at = this.#next[0]!;
    while (this.#isCall(at)) at = this.#next[at]!;
    this.#stuck = this.#operations[(at - 2) >>> 1];
  }

  #link(): void {
    const events: { time: number; node: number }[] = [];
    const last = new Map<string, number>();
    for (const [at, { call, end, optional, name }] of this.#operations.entries()) {
      events.push({ time: call, node: 2 * at + 1 });
      if (optional) {
        this.#alike[at] = last.get(name) ?? -1;
        last.set(name, at);
      } else {
        this.#certain++;
        events.push({ time: end, node: 2 * at + 2 });
      }
    }
    // At the same instant calls come first: what may have overlapped is taken to have.
    events.sort((a, b) => a.time - b.time || (b.node & 1) - (a.node & 1) || a.node - b.node);
    let previous = 0;
    for (const { node } of events) {
      this.#next[previous] = node;
      this.#previous[node] = previous;
      previous = node;
    }
  }

  #isCall(node: number): boolean {
    return node > 0 && (node & 1) === 1;
  }

  #lift(at: number): void {
    this.#unlink(2 * at + 1);
    this.#spent |= this.#bits[at]!;
    if (this.#operations[at]!.optional) return;
    this.#linearised.add(at);
    this.#unlink(2 * at + 2);
    this.#certain--;
  }

  /** Undoes `#lift`; what was lifted last must come first, as each node knows its old neighbours. */
  #unlift(at: number): void {
    this.#spent &= ~this.#bits[at]!;
    if (!this.#operations[at]!.optional) {
      this.#linearised.delete(at);
      this.#relink(2 * at + 2);
      this.#certain++;
    }
    this.#relink(2 * at + 1);
  }

  #unlink(node: number): void {
    const [previous, next] = [this.#previous[node]!, this.#next[node]!];
    this.#next[previous] = next;
    if (next >= 0) this.#previous[next] = previous;
  }

  #relink(node: number): void {
    const [previous, next] = [this.#previous[node]!, this.#next[node]!];
    this.#next[previous] = node;
    if (next >= 0) this.#previous[next] = node;
  }
}

/** A set of small numbers which has a short name as long as it is nearly all numbers up to some. */
class Bits {
  readonly #words: Uint16Array;
  /** All words below are full; all above `#high` are empty. */
  #low = 0;
  #high = 0;

  constructor(size: number) {
    this.#words = new Uint16Array((size >>> 4) + 1);
  }

  add(at: number): void {
    this.#words[at >>> 4]! |= 1 << (at & 15);
    if (at >>> 4 > this.#high) this.#high = at >>> 4;
  }

  delete(at: number): void {
    this.#words[at >>> 4]! &= ~(1 << (at & 15));
    if (at >>> 4 < this.#low) this.#low = at >>> 4;
  }

  /** Sets with the same elements have the same name, others have others. */
  name(): string {
    const words = this.#words;
    while (words[this.#low] === 0xffff) this.#low++;
    while (this.#high > 0 && words[this.#high] === 0) this.#high--;
    let name = `${this.#low}`;
    for (let at = this.#low; at <= this.#high; at++) name += `,${words[at]!.toString(36)}`;
    return name;
  }
}

function stateName(state: KeyState): string {
  return state === undefined ? "-" : `${state.version} ${state.value}`;
}

/**
 * Leaves out what another possibility with the same state is better than: it has all the same
 * operations still open, and more, none of which needs to take effect.
 */
function largest(possibilities: readonly Possibility[]): Possibility[] {
  const byState = Map.groupBy(possibilities, ({ state }) => stateName(state));
  return [...byState.values()].flatMap((same) => {
    if (same.length === 1) return same;
    same.sort((a, b) => b.open.length - a.open.length);
    const kept: { possibility: Possibility; open: Set<KeyOperation> }[] = [];
    for (const possibility of same) {
      if (kept.some(({ open }) => possibility.open.every((one) => open.has(one)))) continue;
      kept.push({ possibility, open: new Set(possibility.open) });
    }
    return kept.map(({ possibility }) => possibility);
  });
}
