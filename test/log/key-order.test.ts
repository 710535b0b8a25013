/** The order of keys that a start makes all at once. */

import { expect, test } from "bun:test";
import { compareKeys } from "../../src/keys.ts";
import { KeyIndex } from "../../src/log/key-index.ts";
import { type Random, randomSeed, withSeed } from "../support/random.ts";

const NEWEST = {
  revision: 1,
  createRevision: 1,
  contentType: "",
  deadline: 0,
  position: 0,
  bytes: 0,
};

test.each([
  ["plain", ["a", "b", "/", "é", "\uFFFD"]],
  ["with characters beyond U+FFFF", ["a", "\uE000", "\uFFFD", "\u{1F600}", "\u{10FFFF}"]],
])("keys that were loaded in any order are sorted, and stay so: %s", async (_, letters) => {
  await withSeed(randomSeed(), (random) => {
    const index = new KeyIndex();
    const keys = new Set<string>();
    for (let at = 0; at < 3_000; at++) {
      const key = word(random, letters);
      keys.add(key);
      index.load(key, { ...NEWEST, version: 1 });
    }
    index.sort();
    for (let at = 0; at < 1_000; at++) {
      const key = word(random, letters);
      keys.add(key);
      index.set(key, { ...NEWEST, version: 1 });
    }
    expect(index.live).toBe(keys.size);
    expect([...index.up("")]).toEqual([...keys].toSorted(compareKeys));
    const start = word(random, letters);
    const above = [...keys].filter((key) => compareKeys(key, start) >= 0);
    expect([...index.up(start)]).toHaveLength(above.length);
  });
});

// --- internal ---

function word(random: Random, letters: readonly string[]): string {
  return Array.from({ length: 1 + random.below(7) }, () => random.pick(letters)).join("");
}
