/** What a start makes of a log that was cut, torn or damaged. */

import { beforeAll, describe, expect, test } from "bun:test";
import { DURABLE_FILE } from "../../src/log/durable.ts";
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  recordBytes,
  type SegmentHeader,
} from "../../src/log/format.ts";
import { KvError } from "../../src/errors.ts";
import type { Store } from "../../src/kv.ts";
import type { FakeDisk } from "../support/fake-disk.ts";
import { cut, flipped, killedAfter, openOn, recordsOf, segmentNames } from "../support/logs.ts";
import { random } from "../support/random.ts";
import { del, dump, failure, put, textOf, write } from "../support/stores.ts";

type Dump = Awaited<ReturnType<typeof dump>>;

describe("a torn tail", () => {
  /** A log whose last commit has two records; how long it was before; what it shows then and now. */
  let disk: FakeDisk;
  let durableBefore: Uint8Array;
  let lengthBefore: number;
  let before: Dump;
  let after: Dump;
  let name: string;

  beforeAll(async () => {
    disk = await killedAfter(async (store, disk) => {
      await write(store, put("a", "1"));
      await write(store, put("b", "2"), put("a", "3"));
      before = await dump(store, 0);
      [name] = segmentNames(disk) as [string];
      durableBefore = disk.bytes(DURABLE_FILE).slice();
      lengthBefore = disk.bytes(name).length;
      await write(store, del("a"), put("c/long", "x".repeat(50)));
      after = await dump(store, 0);
    });
  });

  /** The disk as a power cut leaves it that kept the log up to `length`: the mark is an older one. */
  const torn = (length: number, rest?: Uint8Array): FakeDisk => {
    const copy = cut(disk, name, length, rest);
    copy.place(DURABLE_FILE, durableBefore);
    return copy;
  };

  test("is cut, not reported, wherever it ends, and what is cut is kept aside", async () => {
    const whole = disk.bytes(name).length;
    for (let length = lengthBefore; length <= whole; length++) {
      const copy = torn(length);
      const store = await openOn(copy);
      expect(await dump(store, 0)).toEqual(length === whole ? after : before);
      const { revision } = await write(store, put("later", "1"));
      expect(revision).toBeGreaterThan(before.status.revision);
      const shown = await dump(store, 0);
      await store.close();
      const again = await openOn(copy);
      expect(await dump(again, 0)).toEqual(shown);
      await again.close();
      if (length > lengthBefore && length < whole) expect(keptAside(copy)).not.toEqual([]);
    }
  });

  test("is cut when what follows is zeros, noise or old bytes", async () => {
    const whole = disk.bytes(name).slice();
    const noise = random(7);
    const rests = [
      new Uint8Array(5_000),
      Uint8Array.from({ length: 5_000 }, () => noise.below(256)),
      whole.slice(0, 900),
    ];
    for (let length = lengthBefore; length < whole.length; length += 3) {
      for (const rest of rests) {
        const copy = torn(length, rest);
        const { commits } = Buffer.from(copy.bytes(name)).indexOf(whole) === 0 ? after : before;
        const store = await openOn(copy);
        expect((await dump(store, 0)).commits).toEqual(commits);
        await store.close();
      }
    }
  });

  test("is no torn tail below the mark: the start is refused, with file and offset", async () => {
    const whole = disk.bytes(name).length;
    for (let length = lengthBefore; length < whole; length++) {
      const copy = cut(disk, name, length);
      await refused(copy, name);
      expect(copy.bytes(name)).toHaveLength(length);
    }
  });

  test("hides no damage below the mark, behind which nothing tells what was synced", async () => {
    const { length } = disk.bytes(name);
    const followed = cut(disk, name, length, new Uint8Array(40).fill(7));
    for (let bit = 8 * lengthBefore; bit < 8 * length; bit += 5) {
      await refused(flipped(followed, name, bit), name);
    }
  });

  test("that was cut does not come back when the power is cut after the start", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const copy = torn(disk.bytes(name).length - 8);
      await openOn(copy);
      expect(copy.powerCut(random(seed)).bytes(name)).toHaveLength(lengthBefore);
    }
  });

  test("with a lost mark, the log alone tells what was synced", async () => {
    const copy = disk.copy();
    copy.remove(DURABLE_FILE);
    const store = await openOn(copy);
    expect(await dump(store, 0)).toEqual(after);
    await store.close();
  });
});

describe("damage", () => {
  test("of any bit is refused with file and offset, or does no harm", async () => {
    let right: Dump;
    const disk = await killedAfter(
      async (store) => {
        for (let round = 0; round < 4; round++) {
          await write(store, put("a", `${round}`), put("b", "x".repeat(round * 9)));
        }
        await write(store, del("a"));
        right = await dump(store, 0);
      },
      { segmentBytesMax: 600 },
    );
    expect(segmentNames(disk).length).toBeGreaterThanOrEqual(2);
    const outcomes = { refused: 0, right: 0 };
    for (const name of disk.list()) {
      const size = disk.bytes(name).length;
      for (let bit = 0; bit < size * 8; bit++) {
        // Most of the mark's file is never read: a few bits of it will do.
        if (name === DURABLE_FILE && (bit >>> 3) % 4_096 >= 80 && bit % 997 !== 0) continue;
        outcomes[await open(flipped(disk, name, bit), right!, name, bit >>> 3)]++;
      }
    }
    expect(outcomes.refused).toBeGreaterThan(1_000);
    expect(outcomes.right).toBeGreaterThan(100);
  }, 60_000);

  test("below a later batch is refused also when the mark is lost", async () => {
    const ends: number[] = [];
    const disk = await killedAfter(async (store, disk) => {
      for (let round = 0; round < 4; round++) {
        await write(store, put("a", `${round}`), put("b", "x"));
        ends.push(disk.bytes(segmentNames(disk)[0]!).length);
      }
    });
    const [name] = segmentNames(disk) as [string];
    disk.remove(DURABLE_FILE);
    // Of the last batch nothing proves that it was synced: its damage looks like a torn tail.
    for (let bit = 0; bit < ends[2]! * 8; bit++) await refused(flipped(disk, name, bit), name);
    for (let bit = ends[2]! * 8; bit < ends[3]! * 8; bit++) {
      const store = await openOn(flipped(disk, name, bit));
      expect((await store.status()).revision).toBe(3);
      await store.close();
    }
  });

  test("of the newest records is refused after any start, also one that had no mark", async () => {
    const before = await killedAfter(putEight, { segmentBytesMax: 600 });
    before.remove(DURABLE_FILE);
    await openOn(before);
    const disk = before.kill();
    const right = await openOn(disk);
    const { revision } = await right.status();
    await right.close();
    const name = segmentNames(disk).at(-1)!;
    const size = disk.bytes(name).length;
    for (let bit = 0; bit < size * 8; bit += 5) await refused(flipped(disk, name, bit), name);
    expect(revision).toBe(8);
  });

  test("of a log that is another than the mark's is refused", async () => {
    const [one, other] = await Promise.all([killedAfter(putEight), killedAfter(putEight)]);
    one.place(DURABLE_FILE, other.bytes(DURABLE_FILE));
    const [name] = segmentNames(one) as [string];
    await refused(cut(one, name, one.bytes(name).length, new Uint8Array(40)), name);
    await refused(one, name);
  });

  test("by bytes of a fork of the same store is refused, at the right place too", async () => {
    const options = { segmentBytesMax: 2_000 };
    const fork = await killedAfter(putEight, options);
    const [one, other] = [fork.copy(), fork.copy()];
    for (const [at, disk] of [one, other].entries()) {
      const store = await openOn(disk, options);
      for (let round = 0; round < 8; round++) await write(store, put("a", `${at}`.repeat(200)));
      await store.close();
    }
    const names = segmentNames(one);
    expect(segmentNames(other)).toEqual(names);
    expect(names.length).toBeGreaterThanOrEqual(3);
    for (const name of names.slice(1, -1)) {
      const copy = one.copy();
      copy.place(name, other.bytes(name));
      await refused(copy, ".log");
    }
    // The records of the middle segment are of the same size: here one half is of each fork.
    const name = names[1]!;
    for (const header of recordsOf(one, name)) {
      const { offset } = header;
      const [tail, single] = [one.copy(), one.copy()];
      tail.bytes(name).set(other.bytes(name).subarray(offset), offset);
      await refused(tail, ".log");
      const end = offset + recordBytes(header);
      single.bytes(name).set(other.bytes(name).subarray(offset, end), offset);
      await refused(single, name);
    }
  });

  test("by a next segment that would cut off what was acknowledged is refused", async () => {
    const disk = await killedAfter(putEight);
    const name = segmentNames(disk)[0]!;
    const first = decodeSegmentHeader(disk.bytes(name)) as SegmentHeader;
    const [before, after] = recordsOf(disk, name).slice(-2);
    const header = { ...first, number: 2, nextRevision: after!.revision };
    const planted = { ...header, previousEnd: after!.offset, previousCrc: before!.crc };
    disk.place("0000000002.log", encodeSegmentHeader(planted));
    await refused(disk, name);
    expect(recordsOf(disk, name)).toHaveLength(8);
  });

  test("by segments that changed places, or by none of them left, is refused", async () => {
    const disk = await killedAfter(putEight, { segmentBytesMax: 600 });
    const names = segmentNames(disk);
    const copy = disk.copy();
    copy.place(names[0]!, disk.bytes(names[1]!));
    copy.place(names[1]!, disk.bytes(names[0]!));
    await refused(copy, ".log");
    for (const name of names) disk.remove(name);
    const error = await failure(() => openOn(disk), "internal");
    expect(error.message).toContain(DURABLE_FILE);
  });

  test("of a missing segment is refused", async () => {
    const disk = await killedAfter(
      async (store) => {
        for (let round = 0; round < 12; round++) await write(store, put("a", "x".repeat(200)));
      },
      { segmentBytesMax: 600 },
    );
    const names = segmentNames(disk);
    expect(names.length).toBeGreaterThanOrEqual(4);
    for (const name of names) {
      const copy = disk.copy();
      copy.remove(name);
      const error = await failure(() => openOn(copy), "internal");
      const missing = name === names.at(-1) ? `segment ${names.length}` : name;
      expect(error.message).toContain(missing);
    }
  });

  test("of a segment that was replaced by one of another store is refused", async () => {
    const [one, other] = await Promise.all([
      killedAfter(putEight, { segmentBytesMax: 600 }),
      killedAfter(putEight, { segmentBytesMax: 600 }),
    ]);
    for (const name of segmentNames(one)) {
      const copy = one.copy();
      copy.place(name, other.bytes(name));
      await refused(copy, ".log");
    }
  });

  test("that happens while the store is open is never served as a value", async () => {
    const disk = await killedAfter(async (store) => {
      await write(store, put("a", "v".repeat(64)));
      await write(store, put("b", "w".repeat(64)));
    });
    const [name] = segmentNames(disk) as [string];
    const store = await openOn(disk);
    const at = Buffer.from(disk.bytes(name)).indexOf("v".repeat(64));
    disk.bytes(name)[at + 10]! ^= 1;
    for (const read of [() => store.get("a"), () => store.list({}), () => textOf(store, "a")]) {
      expectPlace(await failure(read, "internal"));
    }
    expect((await store.list({}, { keys: true })).entries).toHaveLength(2);
    expect(await textOf(store, "b")).toBe("w".repeat(64));
    await store.close();
  });
});

describe("a directory", () => {
  test("that is open is refused to a second one, and free after the close", async () => {
    const disk = await killedAfter(async (store) => void (await write(store, put("a", "1"))));
    const first = await openOn(disk);
    const error = await openOn(disk).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(KvError);
    expect((error as KvError).code).toBe("conflict");
    await write(first, put("b", "2"));
    await first.close();
    const second = await openOn(disk);
    expect(await textOf(second, "b")).toBe("2");
    await second.close();
    expect(disk.openFiles).toBe(0);
  });

  test("whose start was refused is left as it was, unlocked and closed", async () => {
    const disk = await killedAfter(async (store) => void (await write(store, put("a", "1"))));
    const [name] = segmentNames(disk) as [string];
    const broken = flipped(disk, name, 3);
    const files = broken.list().map((file) => [file, broken.bytes(file).slice()] as const);
    await refused(broken, name);
    await refused(broken, name);
    for (const [file, bytes] of files) {
      expect(Buffer.compare(broken.bytes(file), bytes)).toBe(0);
    }
    expect(broken.openFiles).toBe(0);
  });

  test("left by a process that died is the same again, however often", async () => {
    let right: Dump;
    let disk = await killedAfter(async (store) => {
      await write(store, put("a", "1"));
      right = await dump(store, 0);
    });
    for (let round = 0; round < 5; round++) {
      const store = await openOn(disk);
      expect(await dump(store, 0)).toEqual(right!);
      disk = disk.kill();
    }
    const store = await openOn(disk);
    expect((await store.status()).revision).toBe(right!.status.revision);
    await store.close();
  });
});

// --- internal ---

async function putEight(store: Store): Promise<void> {
  for (let round = 0; round < 8; round++) await write(store, put("a", `${round}`.repeat(100)));
}

/**
 * Opens a disk with one bad byte: refused with the file and an offset just before it, or with exactly
 * the right content.
 */
async function open(
  disk: FakeDisk,
  right: Dump,
  name: string,
  byte: number,
): Promise<"refused" | "right"> {
  let store: Store;
  try {
    store = await openOn(disk);
  } catch (error) {
    const { file, offset } = expectPlace(error);
    expect(file).toBe(name);
    expect(offset).toBeLessThanOrEqual(byte);
    expect(offset).toBeGreaterThan(byte - 200);
    return "refused";
  }
  expect(await dump(store, 0)).toEqual(right);
  await store.close();
  return "right";
}

async function refused(disk: FakeDisk, name: string): Promise<void> {
  const outcome = await openOn(disk).then(
    () => "opened",
    (error: unknown) => error,
  );
  expectPlace(outcome);
  expect((outcome as KvError).message).toContain(name);
}

/** The place that a refusal names. */
function expectPlace(error: unknown): { file: string; offset: number } {
  if (!(error instanceof KvError)) throw new Error("expected a refusal", { cause: error });
  expect(error.code).toBe("internal");
  const [, file, offset] = /(\d{10}\.log).*offset (\d+)/.exec(error.message) ?? [];
  if (file === undefined) throw new Error("the refusal names no place", { cause: error });
  return { file, offset: Number(offset) };
}

/** Names of files that are neither log nor mark nor lock. */
function keptAside(disk: FakeDisk): string[] {
  return disk.list().filter((name) => !/^(\d{10}\.log|DURABLE|LOCK)$/.test(name));
}
