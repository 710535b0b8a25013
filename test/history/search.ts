/**
 * The search for an order of one key's operations that explains their answers: Wing and Gong's
 * (1993) with the improvements of Lowe, "Testing for linearizability" (2017): events in a linked
 * list, from which what is linearised is lifted out, and no configuration (the set of what is
 * linearised, and the state) visited twice.
 */

import { Bits } from "./bits.ts";
import type { KeyOperation } from "./key-operations.ts";
import type { KeyState } from "./key-model.ts";

/** What a key can be at a moment when nothing is under way that comes to an end. */
export interface Possibility {
  readonly state: KeyState;
  /** Operations of unknown outcome that may still take effect. */
  readonly open: readonly KeyOperation[];
}

/** Configurations that may still be visited. */
export interface Budget {
  left: number;
}

/** Thrown when there are more configurations than the budget has. */
export class TooHard extends Error {}

/** A part of a key's history, with nothing under way at both ends that comes to an end. */
export interface Segment {
  /** Begins anew from what the key can be before; what came of other beginnings is left out. */
  start(beginning: Possibility): void;
  /**
   * What the key can be afterwards, another one each time; `undefined` when there is no more.
   * @throws `TooHard`
   */
  next(): Possibility | undefined;
  /** An operation that no attempt so far has got past. */
  readonly stuck: KeyOperation | undefined;
}

/**
 * A segment of operations in the order of their calls; `older` may take effect here too, if a
 * beginning says so.
 */
export function segmentOf(
  older: readonly KeyOperation[],
  operations: readonly KeyOperation[],
  budget: Budget,
): Segment {
  const [first] = operations;
  const alone = operations.length === 1 && older.length === 0 && !first!.optional;
  return alone ? new Alone(first!) : new Search(older, operations, budget);
}

// --- internal ---

/** The most common segment by far: one operation and nothing beside it. */
class Alone implements Segment {
  readonly stuck: KeyOperation;
  readonly #tried = new Set<string>();
  #after: readonly KeyState[] = [];
  #next = 0;

  constructor(operation: KeyOperation) {
    this.stuck = operation;
  }

  start({ state }: Possibility): void {
    const name = stateName(state);
    this.#after = this.#tried.has(name) ? [] : this.stuck.apply(state);
    this.#tried.add(name);
    this.#next = 0;
  }

  next(): Possibility | undefined {
    if (this.#next === this.#after.length) return undefined;
    return { state: this.#after[this.#next++], open: [] };
  }
}

/** What the search does to the list, so that it can be undone. */
type Move = readonly [
  /**
   * `take`: an operation takes effect. `pass`: the time is over in which one of unknown outcome,
   * which has taken effect, could have. `drop`: the same of one that has not.
   */
  kind: "take" | "pass" | "drop",
  operation: number,
];

/** A step of the search: how it came to a configuration, and what it tries next there. */
interface Frame {
  /** One move, and those that followed by themselves. */
  readonly moves: Move[];
  readonly state: KeyState;
  /** What has an unknown outcome is tried later: it is best kept. That its time is over, last. */
  turn: "certain" | "optional" | "over";
  /** The call to try next, and which of its outcomes. */
  next: number;
  outcome: number;
}

/**
 * Nodes of the list: 0 is its head; the call of operation n is 2n + 1 and its return 2n + 2. What
 * may take effect at any later time has no return.
 */
class Search implements Segment {
  readonly #operations: readonly KeyOperation[];
  /** How many of them are from before this segment, with no end; they come first. */
  readonly #older: number;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** An operation that does the same and has its time before: it goes first. -1: there is none. */
  readonly #alike: Int32Array;
  /** Has its call left the list? */
  readonly #gone: Uint8Array;
  /** What is over: linearised or, of what is optional, passed or dropped. */
  readonly #over: Bits;
  /** The bit of an optional operation; 0 for others. */
  readonly #bits: readonly bigint[];
  /** What is optional, has taken effect, and is not over. */
  #spent = 0n;
  /**
   * What was spent at the visits of a configuration. Having spent more than at another visit leads
   * nowhere else, as nothing that is unspent needs to take effect.
   */
  readonly #visited = new Map<string, bigint[]>();
  readonly #budget: Budget;
  readonly #stack: Frame[] = [];
  /** The moves from the list of all operations to that of the present beginning. */
  #begun: Move[] = [];
  /** Operations with a certain outcome that are still in the list. */
  #certain = 0;
  /** Has nothing been tried yet from the present beginning? */
  #fresh = false;
  #fewest = Infinity;
  stuck: KeyOperation | undefined;

  constructor(older: readonly KeyOperation[], newer: readonly KeyOperation[], budget: Budget) {
    this.#budget = budget;
    const operations = [...older, ...newer];
    this.#operations = operations;
    this.#older = older.length;
    const nodes = 2 * operations.length + 1;
    this.#next = new Int32Array(nodes).fill(-1);
    this.#previous = new Int32Array(nodes).fill(-1);
    this.#alike = new Int32Array(operations.length).fill(-1);
    this.#gone = new Uint8Array(operations.length);
    this.#over = new Bits(operations.map(({ end }) => end < Infinity));
    let bit = 1n;
    this.#bits = operations.map(({ optional }) => (optional ? (bit <<= 1n) : 0n));
    this.#link();
  }

  start({ state, open }: Possibility): void {
    this.#undo(this.#begun);
    this.#begun = [];
    for (let at = 0; at < this.#older; at++) {
      if (!open.includes(this.#operations[at]!)) this.#make(this.#begun, "take", at);
    }
    this.#enter([], state);
    this.#fresh = true;
  }

  next(): Possibility | undefined {
    // What a beginning comes to is looked at before anything is tried.
    if (this.#fresh) {
      this.#fresh = false;
      if (this.#stack.length > 0 && this.#certain === 0) return this.#end();
    }
    for (let frame = this.#stack.at(-1); frame !== undefined; frame = this.#stack.at(-1)) {
      if (this.#try(frame) && this.#certain === 0) return this.#end();
    }
    return undefined;
  }

  /** Tries the next thing at a configuration; answers whether that led to another one. */
  #try(frame: Frame): boolean {
    const at = frame.next;
    const operation = (at - 1) >>> 1;
    if (frame.turn !== "over" && isCall(at)) {
      const tries = this.#tries(operation, frame.turn);
      const after = tries ? this.#operations[operation]!.apply(frame.state) : [];
      const state = after[frame.outcome++];
      if (frame.outcome <= after.length) return this.#enter([["take", operation]], state);
      frame.next = this.#next[at]!;
      frame.outcome = 0;
    } else if (frame.turn === "certain") {
      frame.turn = "optional";
      frame.next = this.#next[0]!;
    } else if (frame.turn === "optional" && at > 0 && this.#operations[operation]!.optional) {
      frame.turn = "over";
      return this.#enter([["drop", operation]], frame.state);
    } else this.#undo(this.#stack.pop()!.moves);
    return false;
  }

  /** Goes on to another configuration; turns back at once from a known one, and says so. */
  #enter([first]: readonly Move[], state: KeyState): boolean {
    const moves: Move[] = [];
    if (first !== undefined) this.#make(moves, ...first);
    this.#follow(moves, state);
    const isNew = this.#visit(state);
    if (!isNew) this.#undo(moves);
    else this.#stack.push({ moves, state, turn: "certain", next: this.#next[0]!, outcome: 0 });
    return isNew;
  }

  /**
   * Makes the moves that nothing can be said against: what only reads and fits is linearised here
   * and now, as later would not make anything else possible.
   */
  #follow(moves: Move[], state: KeyState): void {
    let before = 0;
    for (let at = this.#next[0]!; at > 0; at = this.#next[before]!) {
      const operation = (at - 1) >>> 1;
      if (!isCall(at)) {
        if (this.#gone[operation] === 0) return;
        this.#make(moves, "pass", operation);
      } else if (this.#isFree(operation, state)) this.#make(moves, "take", operation);
      else before = at;
    }
  }

  #isFree(operation: number, state: KeyState): boolean {
    const { pure, apply } = this.#operations[operation]!;
    return pure && apply(state).length > 0;
  }

  /** Is it worth to go on from here? */
  #visit(state: KeyState): boolean {
    const name = `${this.#over.name()} ${stateName(state)}`;
    const visits = this.#visited.get(name);
    const spent = this.#spent;
    if (visits === undefined) this.#visited.set(name, [spent]);
    else if (visits.some((less) => (less & ~spent) === 0n)) return false;
    else visits.push(spent);
    if (--this.#budget.left < 0) throw new TooHard();
    if (this.#certain < this.#fewest) this.#noteStuck();
    return true;
  }

  /** Pure operations have had their turn; of alike ones the first goes first. */
  #tries(operation: number, turn: "certain" | "optional"): boolean {
    const { pure, optional } = this.#operations[operation]!;
    if (pure || optional !== (turn === "optional")) return false;
    const alike = this.#alike[operation]!;
    return alike < 0 || this.#gone[alike] === 1;
  }

  /** All that is certain is done: this is one way in which the segment can end. */
  #end(): Possibility {
    const { state } = this.#stack.at(-1)!;
    const open = this.#operations.filter(({ end }, at) => end === Infinity && !this.#gone[at]);
    return { state, open };
  }

  #noteStuck(): void {
    this.#fewest = this.#certain;
    this.stuck = undefined;
    if (this.#certain === 0) return;
    const certain = (node: number): boolean => {
      return !isCall(node) && !this.#operations[(node - 1) >>> 1]!.optional;
    };
    let at = this.#next[0]!;
    while (!certain(at)) at = this.#next[at]!;
    this.stuck = this.#operations[(at - 1) >>> 1];
  }

  #link(): void {
    const events: { time: number; node: number }[] = [];
    const alike = new Map<string, number[]>();
    for (const [at, { call, end, optional, pure, name }] of this.#operations.entries()) {
      events.push({ time: call, node: 2 * at + 1 });
      if (end < Infinity) events.push({ time: end, node: 2 * at + 2 });
      if (!optional) this.#certain++;
      if (pure) continue;
      const before = alike.get(name);
      if (before === undefined) alike.set(name, [at]);
      else {
        this.#alike[at] = before.findLast((one) => this.#operations[one]!.end <= end) ?? -1;
        before.push(at);
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

  #make(moves: Move[], kind: Move[0], operation: number): void {
    moves.push([kind, operation]);
    const { optional } = this.#operations[operation]!;
    if (kind !== "pass") {
      this.#unlink(2 * operation + 1);
      this.#gone[operation] = 1;
    }
    if (kind === "take" && optional) {
      this.#spent |= this.#bits[operation]!;
      return;
    }
    this.#unlink(2 * operation + 2);
    this.#over.add(operation);
    if (!optional) this.#certain--;
    else if (kind === "pass") this.#spent &= ~this.#bits[operation]!;
  }

  /** What was done last is undone first, as each node knows its neighbours of then. */
  #undo(moves: readonly Move[]): void {
    for (let at = moves.length - 1; at >= 0; at--) {
      const [kind, operation] = moves[at]!;
      const { optional } = this.#operations[operation]!;
      if (kind === "take" && optional) this.#spent &= ~this.#bits[operation]!;
      else {
        if (!optional) this.#certain++;
        else if (kind === "pass") this.#spent |= this.#bits[operation]!;
        this.#over.delete(operation);
        this.#relink(2 * operation + 2);
      }
      if (kind === "pass") continue;
      this.#gone[operation] = 0;
      this.#relink(2 * operation + 1);
    }
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

function isCall(node: number): boolean {
  return node > 0 && (node & 1) === 1;
}

function stateName(state: KeyState): string {
  return state === undefined ? "-" : `${state.version} ${state.value}`;
}
