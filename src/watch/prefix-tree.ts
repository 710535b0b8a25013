/**
 * A radix tree of texts that hold for themselves (keys) or for all that begins with them
 * (prefixes), each with values. Finding what holds for a key takes one way from the top, of at most
 * as many steps as texts or forks lie on it, however many texts there are.
 */

export class PrefixTree<T> {
  readonly #root = new Node<T>("");

  add(kind: "key" | "prefix", text: string, value: T): void {
    let node = this.#root;
    let at = 0;
    while (at < text.length) {
      const child = node.children.get(text.charCodeAt(at));
      if (child === undefined) {
        const leaf = new Node<T>(text.slice(at));
        node.children.set(text.charCodeAt(at), leaf);
        node = leaf;
        break;
      }
      const shared = sharedLength(child.label, text, at);
      at += shared;
      node = shared === child.label.length ? child : split(node, child, shared);
    }
    node.values(kind).add(value);
  }

  /** Removes what was added. */
  remove(kind: "key" | "prefix", text: string, value: T): void {
    const way: Node<T>[] = [this.#root];
    for (let at = 0; at < text.length; at += way.at(-1)!.label.length) {
      const child = way.at(-1)!.children.get(text.charCodeAt(at));
      if (child === undefined) return;
      way.push(child);
    }
    let node = way.pop()!;
    node.values(kind).delete(value);
    // A parent that has lost a child may not be needed as a fork any more.
    for (let parent = way.pop(); parent !== undefined; parent = way.pop()) {
      if (!tidy(parent, node)) return;
      node = parent;
    }
  }

  /** Calls `found` for each value that holds for the key. Answers the nodes it looked at. */
  match(key: string, found: (value: T) => void): number {
    let steps = 1;
    let at = 0;
    let node = this.#root;
    while (true) {
      for (const value of node.prefixes) found(value);
      if (at === key.length) break;
      const child = node.children.get(key.charCodeAt(at));
      if (child === undefined) return steps;
      steps++;
      if (!key.startsWith(child.label, at)) return steps;
      at += child.label.length;
      node = child;
    }
    for (const value of node.keys) found(value);
    return steps;
  }
}

// --- internal ---

class Node<T> {
  /** What the text has behind that of the node above; not empty but at the top. */
  label: string;
  /** By the first unit of their labels. */
  readonly children = new Map<number, Node<T>>();
  keys: Set<T> = NOTHING;
  prefixes: Set<T> = NOTHING;

  constructor(label: string) {
    this.label = label;
  }

  /** The values of a kind, to be changed. */
  values(kind: "key" | "prefix"): Set<T> {
    if (kind === "key") return (this.keys = this.keys === NOTHING ? new Set() : this.keys);
    return (this.prefixes = this.prefixes === NOTHING ? new Set() : this.prefixes);
  }
}

/** Most nodes have values of one kind, or of none: none of them needs a set of its own. */
const NOTHING: Set<never> = new Set();

/** How much of a label the text has at a place; its first unit has been compared already. */
function sharedLength(label: string, text: string, at: number): number {
  let length = 1;
  while (
    length < label.length &&
    at + length < text.length &&
    label.charCodeAt(length) === text.charCodeAt(at + length)
  ) {
    length++;
  }
  return length;
}

/** Puts a node between `parent` and `child`, which takes the first `length` units of its label. */
function split<T>(parent: Node<T>, child: Node<T>, length: number): Node<T> {
  const fork = new Node<T>(child.label.slice(0, length));
  parent.children.set(fork.label.charCodeAt(0), fork);
  child.label = child.label.slice(length);
  fork.children.set(child.label.charCodeAt(0), child);
  return fork;
}

/** Takes a node away that is not needed any more. True when `parent` has a child less. */
function tidy<T>(parent: Node<T>, node: Node<T>): boolean {
  if (node.keys.size + node.prefixes.size > 0 || node.children.size > 1) return false;
  const [only] = node.children.values();
  if (only === undefined) return parent.children.delete(node.label.charCodeAt(0));
  parent.children.set(node.label.charCodeAt(0), only);
  only.label = node.label + only.label;
  return false;
}
