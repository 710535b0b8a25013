/** What people see in tables: aligned columns, times and sizes, rows in one order. */

import { describe, expect, test } from "bun:test";
import { isFolder, mergeRows, type ListRow } from "../../src/cli/list-rows.ts";
import { previewValue, showCount, showDuration, timeLeft } from "../../src/cli/preview.ts";
import { Table } from "../../src/cli/table.ts";
import { showBytes } from "../../src/text.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe("a table", () => {
  test("has columns as wide as their widest cell, titles before the first row only", () => {
    const table = new Table(["A", "NUMBER", "B"], ["NUMBER"]);
    expect(table.format([["x", "1", "y"]])).toBe("A  NUMBER  B\nx       1  y\n");
    expect(table.format([["long", "22", "z"]])).toBe("long      22  z\n");
    expect(table.format([])).toBe("");
  });

  test("counts cells of a terminal, not characters", () => {
    expect(
      new Table(["A", "B"]).format([
        ["💾", "x"],
        ["e\u0301", "y"],
      ]),
    ).toBe("A   B\n💾  x\ne\u0301   y\n");
  });

  test("leaves out a column that has nothing, until it has something", () => {
    const table = new Table(["A", "B", "C"]);
    expect(table.format([["1", "", "3"]])).toBe("A  C\n1  3\n");
    expect(table.format([["1", "", "3"]])).toBe("1  3\n");
    expect(table.format([["1", "2", "3"]])).toBe("A  B  C\n1  2  3\n");
    expect(table.format([["1", "", ""]])).toBe("1\n");
  });
});

describe("times, sizes and values", () => {
  test.each([
    [0.4, "1ms"],
    [450, "450ms"],
    [999, "999ms"],
    [SECOND, "1s"],
    [29_400, "29s"],
    [59_600, "1m"],
    [MINUTE + SECOND, "1m 1s"],
    [HOUR - SECOND, "59m 59s"],
    [HOUR, "1h"],
    [90 * MINUTE + 29 * SECOND, "1h 30m"],
    [DAY - 1, "1d"],
    [DAY - 20 * SECOND, "1d"],
    [DAY - 40 * SECOND, "23h 59m"],
    [2 * HOUR - 20 * SECOND, "2h"],
    [10 * DAY - 20 * MINUTE, "10d"],
    [3 * DAY + 4 * HOUR, "3d 4h"],
    [3_650 * DAY, "3650d"],
  ])("%d ms is %s", (milliseconds, text) => {
    expect(showDuration(milliseconds)).toBe(text);
  });

  test("a deadline that is behind us has passed", () => {
    expect(timeLeft(Date.now() - 1)).toBe("passed");
    expect(timeLeft(Date.now() + 10 * SECOND)).toBe("10s");
  });

  test("numbers have their noun", () => {
    expect([0, 1, 2, 12_345].map((count) => showCount(count, "key"))).toEqual([
      "0 keys",
      "1 key",
      "2 keys",
      "12,345 keys",
    ]);
    expect([1, 1_023, 1_024, 128 * 1_024 ** 2].map(showBytes)).toEqual([
      "1 byte",
      "1,023 bytes",
      "1.0 KiB",
      "128.0 MiB",
    ]);
  });

  test("a value is text in quotes, cut and escaped, or the number of its bytes", () => {
    const bytes = new TextEncoder();
    expect(previewValue(bytes.encode("a\u001b\n"), "x/y")).toBe(String.raw`"a\u001b\n"`);
    expect(previewValue(bytes.encode("x".repeat(101)), "x/y")).toBe(`"${"x".repeat(100)}…"`);
    expect(previewValue(Uint8Array.of(255), "image/png")).toBe("(1 byte, image/png)");
  });
});

test("entries and folders are merged in the order of their bytes, both ways", () => {
  const entries = ["a", "c", "\uffee", "💾"].map((key) => {
    return { key, contentType: "x/y", revision: 1, createRevision: 1, version: 1 };
  });
  const folders = ["b/", "d/", "💾/"];
  const names = ["a", "b/", "c", "d/", "\uffee", "💾", "💾/"];
  expect(mergeRows(entries, folders, false).map(nameOf)).toEqual(names);
  const reversed = mergeRows(entries.toReversed(), folders.toReversed(), true);
  expect(reversed.map(nameOf)).toEqual(names.toReversed());
  expect(mergeRows([], folders, false).map(nameOf)).toEqual(folders);
});

function nameOf(row: ListRow): string {
  return isFolder(row) ? row.folder : row.key;
}
