/**
 * Ranges from a start up to an end, each with a value, and those of them that hold a key. A treap:
 * a tree in the order of starts that random priorities keep level, in which each node knows the
 * farthest end below it. What ends before the key, or starts behind it, is passed over as a whole.
 */

import { compareKeys } from "../keys.ts";

export interface Interval {
  readonly start: string;
  /** Not in it any more; no end when left out. */
  readonly end: string | undefined;
}

export class IntervalTree<T> {
  #root: Node<T> | undefined;
  #lastPriority = 1;

  add(interval: Interval, value: T): void {
    const [before, behind] = split(this.#root, interval);
    const node: Node<T> = {
      ...interval,
      value,
      priority: this.#priority(),
      farthest: interval.end,
      left: undefined,
      right: undefined,
    };
    this.#root = merge(merge(before, node), behind);
  }

  /** Removes what was added. */
  remove(interval: Interval, value: T): void {
    this.#root = without(this.#root, interval, value);
  }

  /** Calls `found` for each value whose range holds the key. Answers the nodes it looked at. */
  match(key: string, found: (value: T) => void): number {
    let steps = 0;
    const visit = (node: Node<T> | undefined): void => {
      if (node === undefined) return;
      steps++;
      if (!isBelow(key, node.farthest)) return;
      visit(node.left);
      if (compareKeys(node.start, key) > 0) return;
      if (isBelow(key, node.end)) found(node.value);
      visit(node.right);
    };
    visit(this.#root);
    return steps;
  }

  /** Numbers without an order (xorshift); where each tree begins is of no account. */
  #priority(): number {
    let next = this.#lastPriority;
    next ^= next << 13;
    next ^= next >>> 17;
    next ^= next << 5;
    this.#lastPriority = next;
    return next;
  }
}

// --- internal ---

interface Node<T> extends Interval {
  readonly value: T;
  /** Not above that of the node over it. */
  readonly priority: number;
  /** The largest end of this node and all below it; none when one of them has none. */
  farthest: string | undefined;
  left: Node<T> | undefined;
  right: Node<T> | undefined;
}

function isBelow(key: string, end: string | undefined): boolean {
  return end === undefined || compareKeys(key, end) < 0;
}

/** By their starts, then by their ends. */
function compare(one: Interval, other: Interval): number {
  const order = compareKeys(one.start, other.start);
  if (order !== 0 || one.end === other.end) return order;
  return one.end === undefined || !isBelow(one.end, other.end) ? 1 : -1;
}

/** What comes before `place`, and what does not. */
function split<T>(
  node: Node<T> | undefined,
  place: Interval,
): [Node<T> | undefined, Node<T> | undefined] {
  if (node === undefined) return [undefined, undefined];
  if (compare(node, place) < 0) {
    const [before, behind] = split(node.right, place);
    node.right = before;
    return [measured(node), behind];
  }
  const [before, behind] = split(node.left, place);
  node.left = behind;
  return [before, measured(node)];
}

/** One tree of two, of which nothing in the first comes behind anything in the second. */
function merge<T>(before: Node<T> | undefined, behind: Node<T> | undefined): Node<T> | undefined {
  if (before === undefined) return behind;
  if (behind === undefined) return before;
  if (before.priority > behind.priority) {
    before.right = merge(before.right, behind);
    return measured(before);
  }
  behind.left = merge(before, behind.left);
  return measured(behind);
}

function without<T>(node: Node<T> | undefined, place: Interval, value: T): Node<T> | undefined {
  if (node === undefined) return undefined;
  const order = compare(place, node);
  if (order === 0 && node.value === value) return merge(node.left, node.right);
  // The same range can be on either side.
  if (order <= 0) node.left = without(node.left, place, value);
  if (order >= 0) node.right = without(node.right, place, value);
  return measured(node);
}

function measured<T>(node: Node<T>): Node<T> {
  node.farthest = farther(node.end, farther(endOf(node.left), endOf(node.right)));
  return node;
}

/** The farthest end below a node; where there is no node, one before every key. */
function endOf<T>(node: Node<T> | undefined): string | undefined {
  return node === undefined ? "" : node.farthest;
}

function farther(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined) return undefined;
  return compareKeys(one, other) < 0 ? other : one;
}
