/** The entries of the index, each with its key, by number. */

import { ContentTypes } from "./content-types.ts";
import { EntryRows } from "./entry-rows.ts";
import { KeyArena } from "./key-arena.ts";
import type { WantedKey } from "./wanted-key.ts";

export class Entries {
  readonly types = new ContentTypes();
  readonly rows = new EntryRows(this.types);
  readonly #arena = new KeyArena();

  /** Bytes of memory that they take. */
  get bytesHeld(): number {
    return this.rows.bytesHeld + this.#arena.bytesHeld;
  }

  /** Adds an entry with a key; the rest of it is to be set. */
  add(key: WantedKey): number {
    const entry = this.rows.add();
    this.rows.setKey(entry, this.#arena.add(key), key.length);
    return entry;
  }

  remove(entry: number): void {
    this.#arena.remove(this.rows.keyPlace(entry), this.rows.keyLength(entry));
    this.rows.remove(entry);
  }

  isKey(entry: number, key: WantedKey): boolean {
    return (
      this.rows.keyLength(entry) === key.length && this.#arena.isKey(this.rows.keyPlace(entry), key)
    );
  }

  /** Order of the key of an entry and another one: negative, 0 or positive. */
  compare(entry: number, key: WantedKey): number {
    return this.#arena.compare(this.rows.keyPlace(entry), this.rows.keyLength(entry), key);
  }

  /** The same of the keys of two entries. */
  compareBoth(a: number, b: number): number {
    const { rows } = this;
    return this.#arena.compareBoth(
      rows.keyPlace(a),
      rows.keyLength(a),
      rows.keyPlace(b),
      rows.keyLength(b),
    );
  }

  key(entry: number): string {
    return this.#arena.text(this.rows.keyPlace(entry), this.rows.keyLength(entry));
  }

  /** Copies the bytes of a key to `at`; answers where they end there. */
  copyKey(entry: number, into: Uint8Array, at: number): number {
    const length = this.rows.keyLength(entry);
    this.#arena.copy(this.rows.keyPlace(entry), length, into, at);
    return at + length;
  }

  /** Takes the key of an entry. */
  takeKey(entry: number, into: WantedKey): void {
    this.#arena.take(this.rows.keyPlace(entry), this.rows.keyLength(entry), into);
  }

  /** Bytes that the key of an entry and another one begin with both, of which `from` are known. */
  commonBytes(entry: number, key: WantedKey, from: number): number {
    const length = Math.min(this.rows.keyLength(entry), key.length);
    return this.#arena.commonBytes(this.rows.keyPlace(entry), key, from, length);
  }

  /** The byte of a key at `at`, plus 1; 0 behind its end. */
  symbol(entry: number, at: number): number {
    if (at >= this.rows.keyLength(entry)) return 0;
    return this.#arena.byte(this.rows.keyPlace(entry), at) + 1;
  }
}
