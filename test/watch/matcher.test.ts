/** Which filters want a key: the trees against the plain way, and how much of them is looked at. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { compareKeys, distinctRanges, inRanges, type Range } from "../../src/keys.ts";
import { IntervalTree } from "../../src/watch/interval-tree.ts";
import { Matcher, type Matchable } from "../../src/watch/matcher.ts";
import { PrefixTree } from "../../src/watch/prefix-tree.ts";
import { random } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";

/** Short texts of few characters, so that they meet; among them such as order differently as bytes. */
const text = fc.string({ unit: fc.constantFrom("a", "b", "/", "ä", "\uE000", "𝄞"), maxLength: 5 });
const range: fc.Arbitrary<Range> = fc.oneof(
  text.filter((key) => key !== "").map((key) => ({ key })),
  text.map((prefix) => ({ prefix })),
);
const bounds: fc.Arbitrary<Range> = fc.record(
  { start: text, end: text },
  { requiredKeys: [] },
) as fc.Arbitrary<Range>;
const ranges = fc.oneof(
  fc.array(range, { minLength: 1, maxLength: 6 }).map((several) => distinctRanges(several)),
  bounds.map((one) => [one]),
);

test("the matcher finds each filter that holds a key, once, whatever came and went", () => {
  const step = fc.record({ ranges, isRemoved: fc.boolean(), at: fc.nat() });
  const property = fc.property(
    fc.array(step, { maxLength: 30 }),
    fc.array(text, { maxLength: 5 }),
    (steps, keys) => {
      const matcher = new Matcher<Matchable>();
      const filters: Matchable[] = [];
      for (const { ranges, isRemoved, at } of steps) {
        if (isRemoved && filters.length > 0) {
          const [filter] = filters.splice(at % filters.length, 1);
          matcher.remove(filter!);
        } else {
          const filter = { ranges };
          filters.push(filter);
          matcher.add(filter);
        }
        for (const key of keys) {
          const found: Matchable[] = [];
          matcher.match(key, (filter) => found.push(filter));
          const expected = filters.filter(({ ranges }) => inRanges(ranges, key));
          const isSame = new Set(found).symmetricDifference(new Set(expected)).size === 0;
          if (!isSame || found.length > expected.length) expect(found).toEqual(expected);
        }
      }
    },
  );
  fc.assert(property, { numRuns: rounds(200) });
});

describe("the work for a key", () => {
  test("is that of what lies on its way, among 100,000 keys and prefixes", () => {
    const matcher = new Matcher<Matchable>();
    for (let at = 0; at < 100_000; at++) {
      const user = `users/${at}`;
      matcher.add({ ranges: [at % 2 === 0 ? { key: user } : { prefix: `${user}/` }] });
    }
    const wanted = [{ prefix: "" }, { prefix: "users/77" }, { prefix: "users/777/" }];
    for (const range of wanted) matcher.add({ ranges: [range] });
    let found = 0;
    const steps = matcher.match("users/777/name", () => found++);
    // One of the many, and the three.
    expect(found).toBe(4);
    expect(steps).toBeLessThan(12);
    expect(matcher.match("users/", () => found++)).toBeLessThan(5);
    expect(matcher.match("posts/777/name", () => found++)).toBeLessThan(5);
    expect(found).toBe(6);
  });

  test("does not grow with prefixes that hold none of it, however many share its beginning", () => {
    const tree = new PrefixTree<number>();
    const long = "a".repeat(1_000);
    for (let at = 0; at < 10_000; at++) tree.add("prefix", `${long}/${at}`, at);
    expect(tree.match(`${long}!`, () => {})).toBeLessThan(4);
    expect(tree.match(`${long}/`, () => {})).toBeLessThan(4);
    expect(tree.match("a", () => {})).toBeLessThan(4);
  });

  test("is that of what matches and a way to it, among 20,000 ranges", () => {
    const tree = new IntervalTree<number>();
    for (let at = 0; at < 20_000; at++) {
      tree.add({ start: name(at), end: name(at + 3) }, at);
    }
    let found = 0;
    const steps = tree.match(name(10_000), () => found++);
    expect(found).toBe(3);
    expect(steps).toBeLessThan(150);
  });

  test("stays so when ranges come in order and most of them go again", () => {
    const tree = new IntervalTree<number>();
    for (let at = 0; at < 10_000; at++) tree.add(interval(at), at);
    const { below } = random(7);
    const left = new Set(Array.from({ length: 10_000 }, (_, at) => at));
    for (let count = 0; count < 20_000; count++) {
      const at = below(10_000);
      if (at % 100 !== 0 && left.delete(at)) tree.remove(interval(at), at);
    }
    for (const at of [0, 100, 5_000, 9_900]) {
      const found: number[] = [];
      expect(tree.match(name(at), (value) => found.push(value))).toBeLessThan(150);
      expect(found).toEqual([at]);
    }
  });

  test("keeps what has the same range apart", () => {
    const tree = new IntervalTree<string>();
    const open = { start: "a", end: undefined };
    for (const name of ["x", "y", "z"]) tree.add(open, name);
    tree.remove(open, "y");
    const found: string[] = [];
    tree.match("b", (name) => found.push(name));
    expect(found.toSorted(compareKeys)).toEqual(["x", "z"]);
  });
});

function interval(at: number) {
  return { start: name(at), end: name(at + 1) };
}

function name(at: number): string {
  return String(at).padStart(6, "0");
}

test("a tree from which everything was taken holds nothing", () => {
  const tree = new PrefixTree<number>();
  const texts = ["", "a", "ab", "abc", "abd", "b", "ba"];
  for (const [value, text] of texts.entries()) tree.add("prefix", text, value);
  for (const [value, text] of texts.entries()) tree.remove("prefix", text, value);
  expect(tree.match("abc", () => expect.unreachable())).toBe(1);
});
