/** Keys appended to an index in order, and keys loaded into one that has no order yet. */

import { describe, expect, test } from "bun:test";
import { KeyColumns } from "../../src/log/key-columns.ts";
import { KeyIndex, position } from "../../src/log/key-index.ts";
import { encodeUtf8 } from "../../src/text.ts";

function columnsOf(keys: readonly string[]): KeyColumns {
  const columns = new KeyColumns(keys.length);
  for (const [at, key] of keys.entries()) {
    columns.keys.set(encodeUtf8(key), columns.keysEnd);
    columns.keyEnds[at] = columns.keysEnd + key.length;
    columns.count++;
    columns.revisions[at] = at + 1;
    columns.createRevisions[at] = at + 1;
    columns.versions[at] = 1;
    columns.positions[at] = position(1, 128 + 88 * at);
    columns.recordBytes[at] = 88;
  }
  return columns;
}

describe("appending to an index", () => {
  test("takes keys that rise, in one block and from block to block", () => {
    const index = new KeyIndex();
    expect(index.appendColumns(columnsOf(["", "a", "ab", "abcde", "b"]))).toBe(true);
    expect(index.appendColumns(columnsOf(["ba", "c"]))).toBe(true);
    index.endAppend();
    expect([...index.up("")]).toEqual(["", "a", "ab", "abcde", "b", "ba", "c"]);
    expect(index.get("abcde")?.revision).toBe(4);
  });

  for (const [what, first, second] of [
    ["the same key again", ["a", "b", "b"], []],
    ["a lower key", ["a", "c", "b"], []],
    ["what a longer key before it begins with", ["a", "abcde", "abcd"], []],
    ["the last key of the block before", ["a", "abcde"], ["abcde"]],
    ["what the last key of the block before begins with", ["a", "abcde"], ["abcd", "b"]],
    ["no bytes behind no bytes", [""], [""]],
  ] as const) {
    test(`refuses ${what}`, () => {
      const index = new KeyIndex();
      const isTaken = index.appendColumns(columnsOf(first));
      expect(isTaken && (second.length === 0 || index.appendColumns(columnsOf(second)))).toBe(
        false,
      );
    });
  }
});

describe("an index that is loaded without an order", () => {
  test("finds what is left in a leaf of deletions, one of which came over a key", () => {
    const index = new KeyIndex();
    const keys = Array.from({ length: 600 }, (_, at) => `k${String(at).padStart(3, "0")}`);
    const put = (key: string, revision: number, version: number, known = -1): void => {
      const bytes = encodeUtf8(key);
      const place = position(1, 128 + 88 * revision);
      const rest = [revision, version && revision, version, "", 0, place, 88] as const;
      if (known >= 0) index.putEntry(known, bytes, 0, bytes.length, ...rest);
      else index.loadBytes(bytes, 0, bytes.length, ...rest);
    };
    for (const [at, key] of keys.entries()) put(key, at + 1, at < 2 || at >= 590 ? 1 : 0);
    put("k001", 601, 0, index.findKey("k001"));
    index.sort();
    const left = ["k000", ...keys.slice(590)];
    expect([...index.up("", true)]).toEqual(left);
    expect([...index.down(undefined, true)]).toEqual(left.toReversed());
  });
});
