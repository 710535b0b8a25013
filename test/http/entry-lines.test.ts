/** Lines of a stream: byte for byte what the platform's own JSON of each entry is. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { giveEntry } from "../../src/entry-sink.ts";
import { EntryLines } from "../../src/http/entry-lines.ts";
import { entryToJson } from "../../src/json.ts";
import type { ListedEntry } from "../../src/kv.ts";
import { STREAM_PIECE_BYTES } from "../../src/limits.ts";
import { encodeUtf8 } from "../../src/text.ts";
import { propertySeed } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";

const number = fc.oneof(
  fc.nat(20),
  fc.nat(),
  fc.maxSafeNat(),
  fc.integer({ min: 0, max: 15 }).map((power) => 10 ** power),
  fc.integer({ min: 1, max: 15 }).map((power) => 10 ** power - 1),
  fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER),
);

/** Plain text, now and then with something in it that is not. */
const text = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 12 }).filter((text) => text.isWellFormed()),
  fc
    .tuple(fc.string({ maxLength: 9 }), fc.constantFrom('"', "\\", "\n", "\u001f", " ", "\u007f"))
    .map((parts) => parts.join("")),
);

const value = fc.oneof(
  text.map((text) => encodeUtf8(text)),
  fc.uint8Array({ maxLength: 20 }),
  fc.nat(3_000).map((length) => encodeUtf8("x".repeat(length))),
);

const anyEntry: fc.Arbitrary<ListedEntry> = fc.record(
  {
    key: text,
    value,
    contentType: fc.oneof(fc.constantFrom("text/plain", 'a/b;c="d\\"'), text),
    revision: number,
    createRevision: number,
    version: number,
    expiresAt: fc.integer({ min: 1, max: 8.64e15 }),
  },
  { requiredKeys: ["key", "contentType", "revision", "createRevision", "version"] },
);

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What lines are made of entries, in one piece. */
function linesOf(entries: readonly ListedEntry[], lines = new EntryLines()): string {
  for (const entry of entries) giveEntry(lines, entry);
  expect(lines.count).toBe(entries.length);
  return decoder.decode(lines.take());
}

function jsonOf(entries: readonly ListedEntry[]): string {
  return entries.map((entry) => `${JSON.stringify(entryToJson(entry))}\n`).join("");
}

describe("lines", () => {
  test("are the JSON of their entries, whatever these are", () => {
    const lines = new EntryLines();
    fc.assert(
      fc.property(fc.array(anyEntry, { maxLength: 8 }), (entries) => {
        expect(linesOf(entries, lines)).toBe(jsonOf(entries));
      }),
      { numRuns: rounds(1_000), ...propertySeed() },
    );
  });

  test("are that with each byte in each place of a value and a key", () => {
    const entry = { contentType: "", revision: 1, createRevision: 1, version: 1 };
    for (let byte = 0; byte < 256; byte++) {
      for (let at = 0; at < 9; at++) {
        const bytes = encodeUtf8("aaaaaaaaa");
        bytes[at] = byte;
        const entries: ListedEntry[] = [{ ...entry, key: "k", value: bytes }];
        if (byte < 0x80) entries.push({ ...entry, key: decoder.decode(bytes) });
        expect(linesOf(entries)).toBe(jsonOf(entries));
      }
    }
  });

  test("have room for what is large", () => {
    const values = [
      "x".repeat(100_000),
      '"'.repeat(100_000),
      "é".repeat(100_000),
      "\u0000".repeat(9),
    ];
    const entries = values.map((text, at) => ({
      key: `${"\u0001".repeat(1_023)}${at}`,
      value: encodeUtf8(text),
      contentType: "é".repeat(255),
      revision: 1,
      createRevision: 1,
      version: 1,
    }));
    expect(linesOf(entries)).toBe(jsonOf(entries));
    expect(linesOf(entries.toReversed())).toBe(jsonOf(entries.toReversed()));
  });

  test("have little memory beside them when they are taken", () => {
    const entry = { key: "k", contentType: "", revision: 1, createRevision: 1, version: 1 };
    for (const byte of [0x00, 0x61, 0xff]) {
      const lines = new EntryLines();
      giveEntry(lines, { ...entry, value: new Uint8Array(1_000_000).fill(byte) });
      const taken = lines.take();
      expect(taken.buffer.byteLength - taken.length).toBeLessThan(100_000);
    }
  });

  test("are taken from where they are in memory that is used again", () => {
    const memory = new Uint8Array(100);
    const lines = new EntryLines();
    const key = new Uint8Array(20);
    const expected: ListedEntry[] = [];
    for (let at = 0; at < 50; at++) {
      const start = at % 7;
      const value = encodeUtf8(`value ${at}`);
      const keyBytes = encodeUtf8(`k${at}`);
      memory.fill(0).set(value, start);
      key.fill(0).set(keyBytes);
      lines.entry(key, keyBytes.length, "t", at, at, at, 0, memory, start, start + value.length);
      const info = { contentType: "t", revision: at, createRevision: at, version: at };
      expected.push({ key: `k${at}`, value, ...info });
    }
    expect(decoder.decode(lines.take())).toBe(jsonOf(expected));
  });

  test("are the caller's once they are taken, and forgotten when they are cleared", () => {
    const lines = new EntryLines();
    const entry = { key: "a", contentType: "", revision: 1, createRevision: 1, version: 1 };
    giveEntry(lines, entry);
    const first = lines.take();
    giveEntry(lines, { ...entry, key: "b" });
    lines.clear();
    expect(lines.count).toBe(0);
    giveEntry(lines, { ...entry, key: "c" });
    expect(decoder.decode(first)).toBe(jsonOf([entry]));
    expect(decoder.decode(lines.take())).toBe(jsonOf([{ ...entry, key: "c" }]));
    expect(lines.take()).toHaveLength(0);
  });

  test("are full with a piece", () => {
    const lines = new EntryLines();
    const value = encodeUtf8("x".repeat(STREAM_PIECE_BYTES / 2));
    const entry = { key: "a", value, contentType: "", revision: 1, createRevision: 1, version: 1 };
    giveEntry(lines, entry);
    expect(lines.isFull).toBe(false);
    giveEntry(lines, entry);
    expect(lines.isFull).toBe(true);
    lines.take();
    expect(lines.isFull).toBe(false);
  });
});
