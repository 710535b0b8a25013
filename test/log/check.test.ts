/** A check of a directory changes nothing, finds every damage, and says what a start would say. */

import { describe, expect, test } from "bun:test";
import { checkLog } from "../../src/log/check.ts";
import { describeFinding } from "../../src/log/check-report.ts";
import {
  BLOCK,
  BLOCK_HEADER_BYTES,
  CHECKPOINT_FILE,
  CHECKPOINT_HEADER_BYTES,
  checkpointHeaderCrc,
  decodeBlockHeader,
  sealBlock,
} from "../../src/log/checkpoint-format.ts";
import type { Disk } from "../../src/log/disk.ts";
import { agreed, checkpointed, mergedLog, SMALL, smallLog } from "../support/checks.ts";
import { copyOf, restoreInto, writeSome } from "../support/copies.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { cut, flipped, killedAfter, openOn, recordsOf, segmentNames } from "../support/logs.ts";
import { random } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { failure, put, write } from "../support/stores.ts";

/** The blocks of a checkpoint, as parts of its bytes. */
function blocksOf(bytes: Uint8Array): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let at = CHECKPOINT_HEADER_BYTES; at < bytes.length;) {
    const end = at + BLOCK_HEADER_BYTES + decodeBlockHeader(bytes.subarray(at)).bytes;
    blocks.push(bytes.subarray(at, end));
    at = end;
  }
  return blocks;
}

describe("a check of a sound log", () => {
  test("finds nothing and counts what is there", async () => {
    const disk = await smallLog();
    const report = await agreed(disk);
    const store = await openOn(disk.copy());
    const { store: id, revision, oldest, keys, bytes } = await store.status();
    const counts = { segments: segmentNames(disk).length, records: 8, commits: 5 };
    const status = { store: id, revision, oldest, keys, bytes };
    expect(report).toEqual({ sound: true, findings: [], ...status, ...counts });
    await store.close();
  });

  test("of merged segments too, and of one that was restored", async () => {
    const merged = await mergedLog();
    expect(segmentNames(merged)[1]).not.toBe("0000000002.log");
    const report = await agreed(merged);
    expect(report).toMatchObject({ sound: true, findings: [], oldest: 8, keys: 3 });
    const disk = new FakeDisk();
    const store = await openOn(merged);
    await restoreInto(disk, [await copyOf(store)]);
    await store.close();
    expect(await agreed(disk)).toMatchObject({ sound: true, findings: [], keys: 3 });
  });

  test("needs no right to write, and tells how far it is", async () => {
    const disk = await smallLog();
    const seen: number[] = [];
    const onProgress = ({ bytes, of }: { bytes: number; of: number }): void => {
      expect(bytes).toBeLessThanOrEqual(of);
      seen.push(bytes / of);
    };
    expect((await checkLog({ disk: readOnly(disk), onProgress })).sound).toBe(true);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);
  });

  test("ends when it is aborted; where there is no log there is nothing to check", async () => {
    const disk = await smallLog();
    const signal = AbortSignal.abort();
    await failure(() => checkLog({ disk, signal }), "unavailable");
    expect(disk.openFiles).toBe((await smallLog()).openFiles);
    const { message } = await failure(() => checkLog({ disk: new FakeDisk() }), "not_found");
    expect(message).toContain("there is no store in");
  });
});

describe("a check of a log with a checkpoint", () => {
  test("finds nothing where it says what the log says", async () => {
    const report = await agreed(await checkpointed());
    expect(report).toMatchObject({ sound: true, findings: [], keys: 3 });
  });

  test(
    "notes every flipped bit of it, and everything cut off: the log is read instead",
    async () => {
      const disk = await checkpointed();
      const { length } = disk.bytes(CHECKPOINT_FILE);
      const bad = [...Array(8 * length).keys()].map(
        (bit) => () => flipped(disk, CHECKPOINT_FILE, bit),
      );
      const short = [...Array(length).keys()].map((size) => () => cut(disk, CHECKPOINT_FILE, size));
      for (const damaged of [...bad, ...short].filter((_, at) => at % stepAt("", at) === 0)) {
        const { sound, findings } = await agreed(damaged());
        expect(sound).toBe(true);
        expect(findings).toMatchObject([{ severity: "note", file: CHECKPOINT_FILE }]);
      }
    },
    RANDOM_MS_MAX,
  );

  test("finds one that is sound in itself and says something else", async () => {
    const disk = await checkpointed();
    const bytes = disk.bytes(CHECKPOINT_FILE).slice();
    const blocks = blocksOf(bytes);
    const keys = blocks.find((block) => decodeBlockHeader(block).kind === BLOCK.keys)!;
    // The smallest version: that of all of them, in the head of the third column.
    keys[BLOCK_HEADER_BYTES + 8 + 2 * 16]!++;
    let crc = checkpointHeaderCrc(bytes);
    for (const block of blocks) crc = sealBlock(block, crc);
    disk.place(CHECKPOINT_FILE, bytes);
    const { sound, findings } = await checkLog({ disk });
    expect(sound).toBe(false);
    expect(findings).toEqual([
      {
        severity: "damage",
        file: CHECKPOINT_FILE,
        what: "keys are not as in the log",
        keys: ["a", "b", "c"],
      },
    ]);
  });
});

describe("a check finds", () => {
  test(
    "every flipped bit, and damage exactly where a start refuses",
    async () => {
      for (const disk of [await smallLog(), await mergedLog()]) {
        let damages = 0;
        for (const name of [...segmentNames(disk), "DURABLE"]) {
          const bits = 8 * disk.bytes(name).length;
          for (let bit = 0; bit < bits; bit += stepAt(name, bit)) {
            const report = await agreed(flipped(disk, name, bit));
            expect(report.findings.length).toBeGreaterThan(0);
            if (!report.sound) damages++;
          }
        }
        expect(damages).toBeGreaterThan(300);
      }
    },
    RANDOM_MS_MAX,
  );

  test("every truncation of a segment", async () => {
    for (const disk of [await smallLog(), await mergedLog()]) {
      for (const name of segmentNames(disk)) {
        for (let length = 0; length < disk.bytes(name).length; length++) {
          expect((await agreed(cut(disk, name, length))).sound).toBe(false);
        }
      }
    }
  });

  test("a segment that is missing", async () => {
    const disk = await smallLog();
    for (const name of segmentNames(disk).slice(0, -1)) {
      const copy = disk.copy();
      copy.remove(name);
      const { findings } = await agreed(copy);
      expect(findings[0]).toMatchObject({ severity: "damage", file: name });
      expect(findings[0]!.what).toMatch(/^it is missing, but there is \d{10}\.log$/);
      expect(findings.length).toBe(1);
      // All that stood in it, and nothing else.
      const lost = recordsOf(disk, name).map(({ revision }) => revision);
      expect(findings[0]!.revisions).toEqual({ first: Math.min(...lost), last: Math.max(...lost) });
    }
  });

  test("several damages, each with what is lost by it", async () => {
    const disk = await killedAfter(
      async (store) => {
        for (let at = 1; at <= 9; at++) await write(store, put(`key ${at}`, "x".repeat(200)));
      },
      { segmentBytesMax: 1_100 },
    );
    const [first, second] = segmentNames(disk);
    const value = recordsOf(disk, first!)[1]!.offset + 100;
    const header = recordsOf(disk, second!)[1]!.offset + 36;
    disk.bytes(first!)[value]! ^= 1;
    disk.bytes(second!)[header]! ^= 1;
    const report = await agreed(disk);
    const lines = report.findings.map(describeFinding);
    expect(lines).toEqual([
      `${first} at offset ${value - 100}: a record's body fails its checksum; ` +
        `sound again at offset ${behind(value - 100)}; revision 2; keys "key 2"`,
      `${second} at offset ${header - 36}: a record's header fails its checksum; ` +
        `sound again at offset ${behind(header - 36)}; revision 5; keys "key 5"`,
    ]);
    expect(report).toMatchObject({ sound: false, keys: undefined, commits: 7, revision: 9 });
  });

  test("an unfinished write, files left over and a slot that is torn, which do no harm", async () => {
    const disk = await smallLog();
    const last = segmentNames(disk).at(-1)!;
    const size = disk.bytes(last).length;
    const torn = cut(disk, last, size, Uint8Array.of(1, 2, 3));
    torn.place("0000000009.log.tmp", Uint8Array.of(1));
    torn.place(`${last}.cut-200`, Uint8Array.of(1));
    torn.bytes("DURABLE")[5]! ^= 1;
    const { sound, findings } = await agreed(torn);
    expect(sound).toBe(true);
    expect(findings.map(describeFinding)).toEqual([
      expect.stringContaining(
        `${last} at offset ${size}: a start would say: cut 3 bytes of an unfinished`,
      ),
      `${last}.cut-200: bytes that a start has cut; nothing reads them`,
      "0000000009.log.tmp: it was still being made; a start removes it",
      expect.stringMatching(/^DURABLE at offset (0|4096): a slot fails its checksum$/),
    ]);
  });

  test("damage before an unfinished write, which it tells apart", async () => {
    const disk = await smallLog();
    const [first, ...rest] = segmentNames(disk);
    const last = rest.at(-1)!;
    const size = disk.bytes(last).length;
    const torn = cut(disk, last, size, new Uint8Array(90).fill(7));
    torn.bytes(first!)[200]! ^= 1;
    const { findings } = await agreed(torn);
    expect(findings.map(({ severity, file }) => [severity, file])).toEqual([
      ["damage", first!],
      ["note", last],
    ]);
    expect(findings[1]!.what).toBe("90 bytes of a write that was not finished");
  });

  test("whatever else is wrong in many places, without ever failing itself", async () => {
    const disk = await killedAfter((store) => writeSome(store, random(4), 40), SMALL);
    for (let seed = 0; seed < 60; seed++) {
      const next = random(seed);
      const copy = disk.copy();
      for (let faults = 1 + next.below(4); faults > 0; faults--) {
        const name = next.pick(segmentNames(copy));
        const bytes = copy.bytes(name);
        const at = next.below(bytes.length);
        bytes.fill(next.below(256), at, at + 1 + next.below(300));
      }
      await agreed(copy);
    }
  });
});

/** Every bit where there is time for it, else some. Most of `DURABLE` is zeros: some will do. */
function stepAt(name: string, bit: number): number {
  if (name === "DURABLE" && bit % 32_768 >= 512) return 509;
  return rounds(1) > 1 ? 1 : 11;
}

/** Where the record behind one with a value of 200 bytes begins. */
function behind(offset: number): number {
  return offset + 312;
}

function refuse(): never {
  throw Object.assign(new Error("EROFS"), { code: "EROFS" });
}

/** Every call that changes something fails. */
function readOnly(disk: FakeDisk): Disk {
  return {
    directory: disk.directory,
    list: () => disk.list(),
    openReadOnly: (name) => disk.openReadOnly(name),
    room: () => 0,
    capacity: () => 0,
    lock: refuse,
    open: refuse,
    create: refuse,
    rename: refuse,
    unlink: refuse,
    syncDirectory: refuse,
  };
}
