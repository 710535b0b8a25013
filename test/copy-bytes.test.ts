/** Bytes copied from one place to another. */

import { expect, test } from "bun:test";
import { copyBytes } from "../src/copy-bytes.ts";

test("the bytes from start to end are copied, whatever their number, and no others", () => {
  const from = Uint8Array.from({ length: 300 }, (_, at) => 1 + (at % 255));
  for (const length of [0, 1, 15, 16, 17, 31, 32, 33, 100, 290]) {
    // Parts of larger buffers, at odd places.
    const to = new Uint8Array(400).subarray(3);
    copyBytes(from.subarray(1), 4, 4 + length, to, 7);
    const expected = new Uint8Array(397);
    expected.set(from.slice(5, 5 + length), 7);
    expect(to).toEqual(expected);
  }
});

test("a copy for which there is no room is an error", () => {
  expect(() => copyBytes(new Uint8Array(40), 0, 40, new Uint8Array(45), 6)).toThrow();
});
