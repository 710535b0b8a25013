/** The flags of `kv serve` about the disk: what each text means, and which are refused. */

import { afterEach, describe, expect, test } from "bun:test";
import { UsageError } from "../../src/cli/failure.ts";
import { durabilityWarning, parseStorageOptions } from "../../src/cli/storage-options.ts";
import { parseBytes } from "../../src/cli/values.ts";

const MIB = 1024 ** 2;
const HOUR_MS = 3_600_000;

afterEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith("KV_")) delete process.env[name];
});

describe("sizes", () => {
  test.each([
    ["0", 0],
    ["4096", 4096],
    ["4096B", 4096],
    ["1kB", 1000],
    ["1KiB", 1024],
    ["64MiB", 64 * MIB],
    ["64mib", 64 * MIB],
    ["1MB", 1_000_000],
    ["1GiB", 1024 * MIB],
    ["1GB", 1_000_000_000],
    ["2TiB", 2 * 1024 ** 4],
    ["2TB", 2e12],
  ])("%s is %d bytes", (text, bytes) => {
    expect(parseBytes("--size", text, 0)).toBe(bytes);
  });

  test.each(["", "-1", "1.5GiB", "1 GiB", "1G", "1i", "GiB", "1e9", "9999999TiB", "1GiBs", "0x10"])(
    "%p is none",
    (text) => {
      expect(() => parseBytes("--size", text, 0)).toThrow(UsageError);
      expect(() => parseBytes("--size", text, 0)).toThrow("--size must be a size of at least");
    },
  );

  test("the bounds belong to it, and are named", () => {
    expect(parseBytes("--size", "1KiB", 1024, MIB)).toBe(1024);
    expect(parseBytes("--size", "1MiB", 1024, MIB)).toBe(MIB);
    for (const text of ["1023", "1048577"]) {
      expect(() => parseBytes("--size", text, 1024, MIB)).toThrow("from 1.0 KiB to 1.0 MiB");
    }
  });
});

describe("the defaults", () => {
  test("every write on disk, a day and 1 GiB of history, 64 MiB in reserve", () => {
    expect(parseStorageOptions({})).toEqual({
      durability: { mode: "sync" },
      history: { milliseconds: 24 * HOUR_MS, bytes: 1024 * MIB },
      reserveBytes: 64 * MIB,
      segmentBytesMax: 128 * MIB,
      mergeBytesMin: 4 * MIB,
      checkpointBytesMin: 16 * MIB,
    });
  });

  test("with small files there is less to wait for before a merge and a checkpoint", () => {
    expect(parseStorageOptions({ "segment-bytes": "256KiB" })).toMatchObject({
      segmentBytesMax: MIB / 4,
      mergeBytesMin: MIB / 4,
      checkpointBytesMin: MIB / 4,
    });
  });
});

describe("durability", () => {
  test.each([
    ["sync", { mode: "sync" }],
    ["os", { mode: "os" }],
    ["interval:100", { mode: "interval", ms: 100 }],
    ["interval:60000", { mode: "interval", ms: 60_000 }],
  ] as const)("%s", (text, durability) => {
    expect(parseStorageOptions({ durability: text }).durability).toEqual(durability);
  });

  test.each(["", "async", "interval", "interval:0", "interval:60001", "interval:1s", "Sync"])(
    "%p is refused, with what it could be",
    (text) => {
      const parse = (): unknown => parseStorageOptions({ durability: text });
      expect(parse).toThrow(UsageError);
      expect(parse).toThrow(/^--durability cannot be .* it takes sync, os, or interval:<ms>/);
    },
  );

  test("what may be lost is said where something may be", () => {
    expect(durabilityWarning({ mode: "sync" })).toBeUndefined();
    expect(durabilityWarning({ mode: "interval", ms: 250 })).toContain("up to 250 ms of them");
    expect(durabilityWarning({ mode: "os" })).toContain("may lose any of the newest ones");
  });
});

describe("history", () => {
  const day = 24 * HOUR_MS;
  const gib = 1024 * MIB;
  test.each([
    [{ history: "7d" }, { milliseconds: 7 * day, bytes: gib }],
    [{ history: "0" }, { milliseconds: 0, bytes: gib }],
    [{ "history-bytes": "0" }, { milliseconds: day, bytes: 0 }],
    [{ "history-bytes": "20GiB" }, { milliseconds: day, bytes: 20 * gib }],
    [{ "history-bytes": "all" }, { milliseconds: day }],
    [{ history: "all", "history-bytes": "2GiB" }, { bytes: 2 * gib }],
    [{ history: "7d", "history-bytes": "all" }, { milliseconds: 7 * day }],
  ])("%p", (flags, history) => {
    expect(parseStorageOptions(flags).history).toEqual(history);
  });

  test("for ever is for ever: no bytes bound it that nobody asked for", () => {
    expect(parseStorageOptions({ history: "all" }).history).toEqual({});
  });

  test.each(["", "24", "1y", "-1h", "forever", "1.5h"])("a time of %p is refused", (history) => {
    expect(() => parseStorageOptions({ history })).toThrow("--history must be a time such as 30m");
  });

  test.each(["", "1XB", "-5"])("an amount of %p is refused", (text) => {
    const parse = (): unknown => parseStorageOptions({ "history-bytes": text });
    expect(parse).toThrow(/^--history-bytes must be a size .* or all for any amount$/);
  });
});

describe("the environment", () => {
  test("says the same as the flags, and a flag wins", () => {
    Object.assign(process.env, {
      KV_DURABILITY: "os",
      KV_HISTORY: "1h",
      KV_HISTORY_BYTES: "1MiB",
      KV_RESERVE_BYTES: "0",
      KV_SEGMENT_BYTES: "1MiB",
    });
    expect(parseStorageOptions({ history: "2h" })).toEqual({
      durability: { mode: "os" },
      history: { milliseconds: 2 * HOUR_MS, bytes: MIB },
      reserveBytes: 0,
      segmentBytesMax: MIB,
      mergeBytesMin: MIB,
      checkpointBytesMin: MIB,
    });
  });

  test.each(["DURABILITY", "HISTORY", "HISTORY_BYTES", "RESERVE_BYTES", "SEGMENT_BYTES"])(
    "KV_%s is named where it is wrong",
    (name) => {
      process.env[`KV_${name}`] = "wrong";
      expect(() => parseStorageOptions({})).toThrow(`KV_${name} `);
    },
  );

  test("files of the log that are too small or too large are refused", () => {
    for (const text of ["65535", "2GiB"]) {
      const parse = (): unknown => parseStorageOptions({ "segment-bytes": text });
      expect(parse).toThrow("--segment-bytes must be a size from 64.0 KiB to 1.0 GiB");
    }
  });
});
