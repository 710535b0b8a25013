/** Entries of many keys found at once, against one by one. */

import { expect, test } from "bun:test";
import type { HashWords } from "../../src/log/key-hash.ts";
import { KeyIndex, NO_ENTRY } from "../../src/log/key-index.ts";
import { encodeUtf8 } from "../../src/text.ts";
import { type Random, randomSeed, withSeed } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";

test("many keys found at once are those found one by one", () =>
  withSeed(randomSeed(), (random) => {
    for (let run = 0; run < rounds(20); run++) {
      const index = new KeyIndex();
      compare(index, random, random.pick([0, 10, 300, 6_000]));
    }
  }));

test("keys whose hashes are the same are told apart", () =>
  withSeed(randomSeed(), (random) => {
    compare(new KeyIndex(fewHashes), random, 200);
  }));

// --- internal ---

const fewHashes: HashWords = (words, from, length) => (words[from]! + length) % 3;

/** Fills an index, and asks it for keys that are in and for others. */
function compare(index: KeyIndex, random: Random, keys: number): void {
  const names = Array.from({ length: keys }, (_, at) => nameOf(random, at));
  for (const [at, name] of names.entries()) {
    const [revision, version] = [at + 1, random.below(3)];
    const times = { revision, createRevision: 1, version, deadline: 0 };
    index.set(name, { ...times, contentType: "text/plain", position: 8 * at, bytes: 80 });
  }
  for (let call = 0; call < 20; call++) {
    const wanted = Array.from({ length: random.below(130) }, () =>
      names.length > 0 && !random.oneIn(4) ? random.pick(names) : nameOf(random, keys + call),
    );
    const parts = wanted.map((name) => encodeUtf8(name));
    const bytes = Buffer.concat(parts);
    const ends = new Uint32Array(parts.length);
    let end = 0;
    for (const [at, part] of parts.entries()) ends[at] = end += part.length;
    const starts = ends.map((to, at) => to - parts[at]!.length);
    const from = random.below(wanted.length + 1);
    const found = new Int32Array(130);
    index.findMany(bytes, starts, ends, from, wanted.length, found);
    const expected = wanted.slice(from).map((name) => index.findKey(name));
    expect([...found.subarray(0, expected.length)]).toEqual(expected);
    const known = new Set(names);
    for (const [at, name] of wanted.slice(from).entries()) {
      expect(found[at] !== NO_ENTRY).toBe(known.has(name));
    }
  }
}

function nameOf(random: Random, at: number): string {
  return `${"né".repeat(random.below(4))}${at}`;
}
