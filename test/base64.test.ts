/** Base64 and cursors, with the platform's own methods and without them. */

import { expect, test } from "bun:test";
import { fromBase64, fromBase64Plain, toBase64, toBase64Plain } from "../src/base64.ts";
import { decodeCursor, encodeCursor } from "../src/protocol.ts";

const pairs = [
  ["as the platform gives it", toBase64, fromBase64],
  ["without the platform's method", toBase64Plain, fromBase64Plain],
] as const;

for (const [name, encode, decode] of pairs) {
  test(`bytes of every length come back ${name}`, () => {
    const bytes = Uint8Array.from(
      { length: 20_000 },
      (_, index) => (index * 7 + (index >> 8)) & 255,
    );
    for (const length of [0, 1, 2, 3, 4, 5, 255, 256, 8191, 8192, 8193, 16_385, 20_000]) {
      const part = bytes.subarray(3, 3 + length);
      const text = encode(part);
      expect(text).toBe(Buffer.from(part).toString("base64"));
      expect(decode(text)).toEqual(Uint8Array.from(part));
    }
  });

  test(`anything but padded standard base64 is refused ${name}`, () => {
    const bad = [
      "a",
      "aG",
      "aGk",
      "aGk=\n",
      " aGk=",
      "aG k=",
      "aGl=",
      "aGk==",
      "-_8=",
      "aGk=aGk=",
      "é",
    ];
    for (const text of bad) expect([text, decode(text)]).toEqual([text, undefined]);
  });
}

test("a cursor with every kind of key comes back, and only as it was made", () => {
  for (const after of ["a", "ab", "abc", "\u{10ffff}?>", "\ufeff", "ÿÿÿ"]) {
    const cursor = { range: { prefix: "ÿ/" }, after, revision: 7 };
    const text = encodeCursor(cursor);
    expect(text).toBe(Buffer.from(JSON.stringify(cursor)).toString("base64url"));
    expect(decodeCursor(text)).toEqual(cursor);
    for (const other of [`${text}=`, ` ${text}`, text.slice(1), `${text}A`]) {
      expect(() => decodeCursor(other)).toThrow("pass it back unchanged");
    }
  }
});
