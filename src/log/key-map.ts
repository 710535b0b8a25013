/**
 * A map of keys that grows without ever taking long: a plain one of a million keys is made anew in
 * one go when it grows, for tens of milliseconds. Many small ones do that at different times.
 */

/** A power of two. */
const PARTS = 256;

export class KeyMap<V> {
  readonly #parts: (Map<string, V> | undefined)[] = Array.from({ length: PARTS });

  get(key: string): V | undefined {
    return this.#parts[partOf(key)]?.get(key);
  }

  has(key: string): boolean {
    return this.#parts[partOf(key)]?.has(key) === true;
  }

  set(key: string, value: V): void {
    (this.#parts[partOf(key)] ??= new Map()).set(key, value);
  }

  delete(key: string): void {
    this.#parts[partOf(key)]?.delete(key);
  }

  /** In no order. */
  *entries(): Generator<[string, V], undefined> {
    for (const part of this.#parts) if (part !== undefined) yield* part;
    return undefined;
  }
}

// --- internal ---

/** FNV-1a over the last characters, in which keys differ most. */
function partOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = Math.max(0, key.length - 12); at < key.length; at++) {
    hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  }
  return (hash ^ (hash >>> 16)) & (PARTS - 1);
}
