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

test("rows of deleted keys are passed over both ways, and come again when they are put", () => {
  const index = new KeyIndex();
  const names = Array.from({ length: 3_000 }, (_, at) => String(at).padStart(4, "0"));
  for (const name of names) index.set(name, { ...NEWEST, version: 1 });
  const gone = names.slice(300, 2_800);
  for (const name of gone) index.set(name, { ...NEWEST, version: 0 });
  const left = names.filter((name) => !gone.includes(name));
  expect(all(index.living.up(""))).toEqual(left);
  expect(all(index.living.down(undefined))).toEqual(left.toReversed());
  expect(all(index.living.down("1500"))).toEqual(left.slice(0, 300).toReversed());
  expect(all(index.living.up("1500"))).toEqual(left.slice(300));
  expect([...index.down("1500")]).toEqual(names.slice(0, 1_500).toReversed());
  index.set("1499", { ...NEWEST, version: 2 });
  expect(index.living.down("1500").next().value).toBe("1499");
  expect(index.living.up("0300").next().value).toBe("1499");
});

// --- internal ---

function all(keys: Iterator<string>): string[] {
  const found: string[] = [];
  for (let next = keys.next(); next.done !== true; next = keys.next()) found.push(next.value);
  return found;
}

function word(random: Random, letters: readonly string[]): string {
  return Array.from({ length: 1 + random.below(7) }, () => random.pick(letters)).join("");
}
