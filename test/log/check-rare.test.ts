/** What a check rarely meets: files of other times, and checkpoints and records that were forged. */

import { describe, expect, test } from "bun:test";
import { checkLog } from "../../src/log/check.ts";
import { describeFinding } from "../../src/log/check-report.ts";
import { REPORTED_KEYS_MAX } from "../../src/limits.ts";
import type { LogStore } from "../../src/log/engine.ts";
import { agreed, checkpointed, mergedLog, SMALL, smallLog } from "../support/checks.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { blockOf, COLUMN, forge, headOf } from "../support/forged-checkpoints.ts";
import { cut, flipped, killedAfter, openOn, recordsOf, segmentNames } from "../support/logs.ts";
import { put, write } from "../support/stores.ts";

describe("a check notes", () => {
  test("a reserve that was given up, and none that is whole", async () => {
    const disk = await smallLog();
    disk.place("RESERVE", new Uint8Array(100));
    expect((await agreed(disk)).findings).toEqual([]);
    disk.place("RESERVE", new Uint8Array(0));
    const { findings } = await agreed(disk);
    expect(findings.map(describeFinding)).toEqual(["RESERVE: it was given up: the disk was full"]);
  });

  test("marks that have another size than kv gives them", async () => {
    const disk = await smallLog();
    const size = disk.bytes("DURABLE").length;
    const { findings } = await agreed(cut(disk, "DURABLE", size, new Uint8Array(5)));
    expect(findings.map(describeFinding)).toEqual([
      `DURABLE at offset ${size + 5}: it has ${size + 5} bytes, not ${size}`,
    ]);
  });

  test("nothing of a segment that a merged one stands for: a start removes it", async () => {
    const disk = await mergedLog();
    expect(segmentNames(disk)).not.toContain("0000000002.log");
    disk.place("0000000002.log", new Uint8Array(300));
    expect(await agreed(disk)).toMatchObject({ sound: true, findings: [] });
  });
});

describe("a check finds damage", () => {
  test("where all segments are gone and the mark of one is left", async () => {
    const disk = await smallLog();
    for (const name of segmentNames(disk)) disk.remove(name);
    const { findings } = await agreed(disk);
    expect(findings[0]!.file).toBe("DURABLE");
    expect(findings[0]!.what).toMatch(/^it names segment \d+, and there is no segment/);
  });

  test("where the last segments are gone, and what is left is merged", async () => {
    const disk = await mergedLog();
    const [merged, next] = segmentNames(disk);
    for (const name of segmentNames(disk).slice(1)) disk.remove(name);
    const { findings } = await agreed(disk);
    expect(findings.filter(({ severity }) => severity === "damage")).toMatchObject([
      { file: next!, what: expect.stringContaining(`${next} is missing, but ${merged} is merged`) },
    ]);
  });

  test("with all the revisions that were in a damaged place", async () => {
    const disk = await killedAfter(async (store) => {
      for (let at = 0; at < 9; at++) await write(store, put("a", "x".repeat(100)));
    });
    const [name] = segmentNames(disk);
    const records = recordsOf(disk, name!);
    const [from, to] = [records[2]!.offset, records[6]!.offset];
    disk.bytes(name!).fill(0xaa, from, to);
    const { findings } = await agreed(disk);
    expect(describeFinding(findings[0]!)).toEndWith(
      `; sound again at offset ${to}; revisions 3 to 6`,
    );
  });

  test("with some of the keys of a large commit, of which a part is lost", async () => {
    const disk = await killedAfter(async (store) => {
      const puts = Array.from({ length: 2 * REPORTED_KEYS_MAX }, (_, at) => put(`k${at}`));
      await write(store, ...puts);
      await write(store, put("other"));
    });
    const [name] = segmentNames(disk);
    const { offset } = recordsOf(disk, name!)[REPORTED_KEYS_MAX + 50]!;
    const { findings } = await agreed(flipped(disk, name!, 8 * (offset + 40)));
    expect(findings[0]!.keys).toHaveLength(REPORTED_KEYS_MAX);
    expect(findings[0]!.revisions).toEqual({ first: 1, last: 1 });
  });

  test("in every bit of what is reserved and void", async () => {
    const disk = await voided();
    const kinds = segmentNames(disk).flatMap((name) =>
      recordsOf(disk, name).map((one) => one.kind),
    );
    // Puts, reserves and a void.
    expect(new Set(kinds)).toEqual(new Set([1, 5, 6]));
    let damages = 0;
    for (const name of segmentNames(disk)) {
      const bits = 8 * disk.bytes(name).length;
      for (let bit = 0; bit < bits; bit += 7) {
        const { sound, findings } = await agreed(flipped(disk, name, bit));
        expect(findings.length).toBeGreaterThan(0);
        if (!sound) damages++;
      }
    }
    expect(damages).toBeGreaterThan(300);
  });
});

describe("a checkpoint that is sound in itself", () => {
  test("and says another revision is damaged", async () => {
    const disk = await checkpointed();
    const { sound, findings } = await checkLog({
      // The oldest readable revision of its header.
      disk: forge(disk, ({ header }) => header.setUint32(40, 1, true)),
    });
    expect(sound).toBe(false);
    expect(findings).toMatchObject([
      { severity: "damage", file: "CHECKPOINT", what: "it does not say what the log says" },
    ]);
  });

  test("and has many other keys is damaged; some of them are named", async () => {
    const disk = new FakeDisk();
    const store = (await openOn(disk, { ...SMALL, checkpointBytesMin: 1 })) as LogStore;
    const puts = Array.from({ length: 2 * REPORTED_KEYS_MAX }, (_, at) => put(`k${at}`));
    await write(store, ...puts);
    await store.close();
    const other = forge(disk, (forged) => {
      const head = headOf(blockOf(forged, "keys"), COLUMN.version);
      head.setUint32(0, head.getUint32(0, true) + 1, true);
    });
    const { sound, findings } = await checkLog({ disk: other });
    expect(sound).toBe(false);
    expect(findings[0]!.keys).toHaveLength(REPORTED_KEYS_MAX);
  });
});

test("a finding about the log as a whole names no file", () => {
  const about = { severity: "damage", file: "", what: "it is gone" } as const;
  expect(describeFinding(about)).toBe("it is gone");
  expect(describeFinding({ ...about, file: "DURABLE" })).toBe("DURABLE: it is gone");
});

// --- internal ---

/** A log of a process that died before its writes were synced: revisions of it are void. */
async function voided(): Promise<FakeDisk> {
  const options = { durability: { mode: "os" }, reservedRevisions: 3 } as const;
  const disk = new FakeDisk();
  const store = await openOn(disk, options);
  for (const key of ["a", "b", "c", "d"]) await write(store, put(key, "1"));
  const after = disk.kill();
  const again = await openOn(after, options);
  for (const key of ["e", "f"]) await write(again, put(key, "1"));
  await again.close();
  return after;
}
