/** The index beside a plain one: a map, the keys of which are sorted whenever their order matters. */

import { expect } from "bun:test";
import * as fc from "fast-check";
import { compareKeys } from "../../src/keys.ts";
import { KeyColumns } from "../../src/log/key-columns.ts";
import type { HashWords } from "../../src/log/key-hash.ts";
import { KeyIndex, NO_ENTRY, position, type Newest } from "../../src/log/key-index.ts";
import { encodeUtf8 } from "../../src/text.ts";

/** What happens to the index. */
export type Step =
  | { readonly do: "put"; readonly key: string; readonly newest: Newest; readonly asBytes: boolean }
  | { readonly do: "delete"; readonly key: string }
  | { readonly do: "many"; readonly key: string; readonly count: number; readonly way: Way }
  | { readonly do: "empty"; readonly key: string; readonly keep: number }
  | { readonly do: "forget"; readonly back: number; readonly max: number }
  | { readonly do: "move"; readonly key: string; readonly to: number }
  | { readonly do: "copy"; readonly keys: number; readonly asColumns: boolean };

type Way = "up" | "down" | "mixed";

/** Few texts, some of which begin others; of all lengths in UTF-8; the longest that a key has. */
const PARTS = [
  "a",
  "b",
  "/",
  "\u0000",
  "é",
  "\u{ffff}",
  "\u{e000}",
  "\u{1f600}",
  "x".repeat(1_016),
];

export const keys = fc
  .tuple(
    fc.constantFrom(...PARTS),
    fc.array(fc.constantFrom(...PARTS.slice(0, -1)), { maxLength: 3 }),
  )
  .map(([first, rest]) => first + rest.join(""))
  .filter((key) => encodeUtf8(key).length <= 1_024);

const integers = fc.oneof(
  fc.integer({ min: 1, max: 100 }),
  fc.constantFrom(
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32 - 2,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 32 + 1,
    2 ** 53 - 1,
  ),
  fc.integer({ min: 1, max: 2 ** 53 - 1 }),
);

const positions = fc
  .tuple(
    fc.oneof(fc.integer({ min: 0, max: 2_000_000 }), fc.constantFrom(1, 2_047, 2_048, 2_000_000)),
    fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constantFrom(0, 2 ** 31, 2 ** 32 - 1)),
  )
  .map(([segment, offset]) => position(segment, offset));

const puts = fc.record({
  revision: fc.constant(0),
  createRevision: integers,
  version: integers,
  contentType: fc.constantFrom("", "text/plain", "application/json", "a", "b", "c"),
  deadline: fc.oneof(fc.constant(0), integers),
  position: positions,
  bytes: fc.integer({ min: 80, max: 2 ** 26 }),
});

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant("put" as const),
        key: keys,
        newest: puts,
        asBytes: fc.boolean(),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("delete" as const), key: keys }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("many" as const),
        key: keys,
        count: fc.integer({ min: 1, max: 1_600 }),
        way: fc.constantFrom<Way>("up", "down", "mixed"),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("empty" as const),
        key: keys,
        keep: fc.integer({ min: 1, max: 20 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("forget" as const),
        back: fc.integer({ min: 0, max: 50 }),
        max: fc.integer({ min: 1, max: 2_000 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant("move" as const), key: keys, to: positions }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("copy" as const),
        keys: fc.integer({ min: 0, max: 700 }),
        asColumns: fc.boolean(),
      }),
    },
  ),
  { maxLength: 40 },
);

export class ModelledIndex {
  readonly index: KeyIndex;
  readonly right = new Map<string, Newest>();
  #revision = 0;
  #copy: ReturnType<KeyIndex["copy"]> | undefined;
  /** What a copy has to show, and what it has shown. */
  #copied: [string, Newest][] = [];
  #shown: [string, Newest][] = [];

  constructor(hash?: HashWords) {
    this.index = new KeyIndex(hash);
  }

  take(step: Step): void {
    if (step.do === "put") this.put(step.key, step.newest, step.asBytes);
    else if (step.do === "delete") this.delete(step.key);
    else if (step.do === "many") this.#putMany(step.key, step.count, step.way);
    else if (step.do === "empty") this.#deleteMany(step.key, step.keep);
    else if (step.do === "forget") this.#forget(this.#revision - step.back, step.max);
    else if (step.do === "move") this.#move(step.key, step.to);
    else this.#readCopy(step.keys, step.asColumns);
  }

  put(key: string, newest: Newest, asBytes: boolean): void {
    // Far apart: revisions are exact beyond 32 bits.
    const next = { ...newest, revision: (this.#revision += 1 + (newest.position % 2 ** 33)) };
    this.right.set(key, next);
    if (!asBytes) return this.index.set(key, next);
    const bytes = encodeUtf8(`<${key}>`);
    const { revision, createRevision, version, contentType, deadline, position } = next;
    const entry = this.index.put(
      bytes,
      1,
      bytes.length - 1,
      revision,
      createRevision,
      version,
      contentType,
      deadline,
      position,
      next.bytes,
    );
    expect(entry).toBe(this.index.findKey(key));
  }

  delete(key: string): void {
    if (!this.right.has(key)) return;
    const newest = { ...NOTHING, position: 5, bytes: 88 };
    this.put(key, newest, false);
  }

  /** Is the index what it has to be? */
  check(): void {
    const { index, right } = this;
    const sorted = [...right].toSorted(([a], [b]) => compareKeys(a, b));
    const names = sorted.map(([key]) => key);
    const living = sorted.filter(([, { version }]) => version > 0);
    expect([...index.all()]).toEqual(sorted);
    expect([...index.up("")]).toEqual(names);
    expect([...index.down(undefined)]).toEqual(names.toReversed());
    expect([...iterate(index.living.up(""))]).toEqual(living.map(([key]) => key));
    expect([...iterate(index.living.down(undefined))].toReversed()).toEqual(
      living.map(([key]) => key),
    );
    expect(index.live).toBe(living.length);
    expect(index.liveBytes).toBe(living.reduce((sum, [, { bytes }]) => sum + bytes, 0));
    const timed = sorted.filter(([, { deadline }]) => deadline !== 0);
    expect(index.timed).toBe(timed.length);
    const deadlines = [...index.deadlines()].map(([entry, deadline]) => [
      index.key(entry),
      deadline,
    ]);
    expect(new Map(deadlines as [string, number][])).toEqual(
      new Map(timed.map(([key, { deadline }]) => [key, deadline])),
    );
    for (const [key, newest] of sorted) {
      const bytes = encodeUtf8(`<${key}>`);
      const entry = index.find(bytes, 1, bytes.length - 1);
      expect(index.key(entry)).toBe(key);
      expect(this.#told(entry)).toEqual(newest);
      // Neither what a key begins with nor what begins with it is the key.
      for (const other of [key.slice(0, -1), `${key}\u0000`, `${key}a`]) {
        if (!right.has(other) && other.isWellFormed()) {
          expect(index.findKey(other)).toBe(NO_ENTRY);
        }
      }
    }
  }

  /** Are the first keys from some places on the right ones? */
  checkFrom(start: string): void {
    const names = [...this.right.keys()].toSorted(compareKeys);
    const above = names.filter((key) => compareKeys(key, start) >= 0);
    const below = names.filter((key) => compareKeys(key, start) < 0);
    expect([...this.index.up(start)]).toEqual(above);
    expect([...this.index.down(start)]).toEqual(below.toReversed());
  }

  /** Reads a copy that was begun to its end. */
  endCopy(): void {
    if (this.#copy !== undefined) this.#readCopy(Infinity, true);
  }

  #told(entry: number): Newest {
    const { index } = this;
    return {
      revision: index.revision(entry),
      createRevision: index.createRevision(entry),
      version: index.version(entry),
      contentType: index.contentType(entry),
      deadline: index.deadline(entry),
      position: index.position(entry),
      bytes: index.bytes(entry),
    };
  }

  #putMany(key: string, count: number, way: Way): void {
    for (let at = 0; at < count; at++) {
      const number = way === "up" ? at : way === "down" ? count - at : (at * 7_919) % count;
      this.put(
        key.slice(0, 1_000) + String(number).padStart(5, "0"),
        { ...PUT, position: at },
        at % 2 === 0,
      );
    }
  }

  #deleteMany(key: string, keep: number): void {
    let at = 0;
    for (const name of this.right.keys()) {
      if (name.startsWith(key) && at++ % keep === keep - 1) this.delete(name);
    }
  }

  #forget(revision: number, max: number): void {
    if (this.#copy !== undefined) {
      expect(this.index.dropTombstones(revision, max)).toBe(false);
      return;
    }
    while (this.index.dropTombstones(revision, max));
    for (const [key, newest] of this.right) {
      if (newest.version === 0 && newest.revision <= revision) this.right.delete(key);
    }
  }

  /** Nothing is moved while there is a copy. */
  #move(key: string, to: number): void {
    if (this.#copy !== undefined) return;
    const newest = this.right.get(key);
    if (newest === undefined) return;
    this.index.moveEntry(this.index.findKey(key), to);
    this.right.set(key, { ...newest, position: to });
  }

  #readCopy(count: number, asColumns: boolean): void {
    if (this.#copy === undefined) {
      this.#copy = this.index.copy();
      this.#copied = [...this.right].toSorted(([a], [b]) => compareKeys(a, b));
      this.#shown = [];
    }
    let left = count;
    for (let more = true; left > 0;) {
      if (asColumns) {
        const columns = emptyColumns(Math.min(left, 100));
        more = this.#copy.fill(columns);
        this.#shown.push(...rowsOf(columns));
        left -= columns.keysMax;
      } else {
        more = this.#copy.next((key, newest) => {
          this.#shown.push([key, newest]);
          return --left > 0;
        });
      }
      if (more) continue;
      this.index.endCopy();
      this.#copy = undefined;
      expect(this.#shown).toEqual(this.#copied);
      return;
    }
  }
}

/** Columns with little room for keys at first. */
export function emptyColumns(keysMax: number): KeyColumns {
  return new KeyColumns(keysMax, 8);
}

// --- internal ---

const NOTHING: Newest = {
  revision: 0,
  createRevision: 0,
  version: 0,
  contentType: "",
  deadline: 0,
  position: 0,
  bytes: 0,
};

const PUT: Newest = { ...NOTHING, createRevision: 3, version: 1, contentType: "a", bytes: 96 };

function* iterate(keys: Iterator<string>): Generator<string> {
  for (let next = keys.next(); next.done !== true; next = keys.next()) yield next.value;
}

/** What columns hold, as objects. */
function rowsOf(columns: KeyColumns): [string, Newest][] {
  return Array.from({ length: columns.count }, (_, at) => [
    Buffer.from(columns.keys).toString("utf8", columns.keyEnds[at - 1] ?? 0, columns.keyEnds[at]),
    {
      revision: columns.revisions[at]!,
      createRevision: columns.createRevisions[at]!,
      version: columns.versions[at]!,
      contentType: columns.contentTypes[at]!,
      deadline: columns.deadlines[at]!,
      position: columns.positions[at]!,
      bytes: columns.recordBytes[at]!,
    },
  ]);
}
