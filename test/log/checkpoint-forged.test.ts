/** A checkpoint whose checksums are right and whose content is not makes no start know wrong things. */

import { describe, expect, test } from "bun:test";
import { BLOCK } from "../../src/log/checkpoint-format.ts";
import { openLog, type LogStore } from "../../src/log/engine.ts";
import {
  CHECKPOINT,
  EAGER,
  expectSameStart,
  maintained,
  startOn,
  withCheckpoint,
} from "../support/checkpoints.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import {
  blockOf,
  COLUMN,
  columnOf,
  forge,
  type Forged,
  type ForgedBlock,
  HEADER,
  headOf,
  keysOf,
} from "../support/forged-checkpoints.ts";
import { segmentNames } from "../support/logs.ts";
import { del, failure, put, putFor } from "../support/stores.ts";

/** Of the block of keys a start says no more. */
const KEYS = "a block of keys is not what it says";

describe("a checkpoint is of no use", () => {
  test.each<[string, string, (forged: Forged) => void]>([
    ["of a later version", "its format is version 3", ({ header }) => setTo(header, 8, 3)],
    [
      "with fewer segments than its header says",
      "a block of a segment is not what it says",
      ({ header }) => add(header, HEADER.segments, 1),
    ],
    [
      "with a segment of more marks than there are",
      "a block of a segment is not what it says",
      (forged) => void blockOf(forged, "segment").items++,
    ],
    [
      "with another block in the place of the voids",
      "the block of voids is not what it says",
      (forged) => void (blockOf(forged, "voids").kind = BLOCK.keys),
    ],
    [
      "with more voids than there are",
      "the block of voids is not what it says",
      (forged) => void blockOf(forged, "voids").items++,
    ],
    [
      "with an end that is too long",
      "its keys are not all there",
      (forged) => void (blockOf(forged, "end").body = new Uint8Array(16)),
    ],
    [
      "with an end that counts other keys",
      "its keys are not all there",
      (forged) => add(viewOf(blockOf(forged, "end").body), 0, 1),
    ],
    [
      "with other keys than its header says",
      "its keys are not those of its header",
      ({ header }) => add(header, HEADER.keys, 1),
    ],
    ["with a block of a kind that is none", KEYS, changed((block) => void (block.kind = 9))],
    ["with a block of no keys", KEYS, changed((block) => void (block.items = 0))],
    ["with a block of too many keys", KEYS, changed((block) => void (block.items = 5_000))],
    [
      "with a block of keys without room for its columns",
      KEYS,
      changed((block) => void (block.body = block.body.slice(0, 100))),
    ],
    [
      "with content types that end between words",
      KEYS,
      changed(({ body }) => add(viewOf(body), 0, 4)),
    ],
    [
      "with content types that end behind the block",
      KEYS,
      changed(({ body }) => add(viewOf(body), 0, 8_000)),
    ],
    [
      "with a column of three bytes a value",
      KEYS,
      changed((block) => setTo(headOf(block, COLUMN.version), 8, 3)),
    ],
    [
      "with a column that ends behind the block",
      KEYS,
      changed((block) => {
        block.body = block.body.slice(0, -keysOf(block).length - columnOf(block, 8).length);
      }),
    ],
    [
      "with something between the columns and the keys",
      KEYS,
      changed((block) => void (block.body = Buffer.concat([block.body, new Uint8Array(8)]))),
    ],
    [
      "with a key of a content type that is not there",
      KEYS,
      changed((block) => add(headOf(block, COLUMN.type), 0, 9)),
    ],
    [
      "with a content type that is longer than all of them",
      KEYS,
      changed(({ body }) => viewOf(body, 8 + 16 * 9).setUint16(0, 500, true)),
    ],
    [
      "with lengths that are not those of the keys",
      KEYS,
      changed((block) => add(headOf(block, COLUMN.length), 0, 1)),
    ],
    ["with a key that is no UTF-8", KEYS, changed((block) => void (keysOf(block)[2] = 0xff))],
    [
      "with a key that begins within a character",
      KEYS,
      changed((block) => columnOf(block, COLUMN.length).set([0, 1, 0])),
    ],
    [
      "with keys in another order",
      "its keys are not in order",
      changed((block) => keysOf(block).set(Buffer.from("ba"))),
    ],
    [
      "with a key twice",
      "its keys are not in order",
      changed((block) => keysOf(block).set(Buffer.from("bb"))),
    ],
    [
      "with a record in a segment that it does not cover",
      "a key has its record where none can be",
      changed((block) => add(headOf(block, COLUMN.segment), 0, 50)),
    ],
    [
      "with a record in the header of a segment",
      "a key has its record where none can be",
      changed((block) => setTo(headOf(block, COLUMN.offset), 0, 0)),
    ],
    [
      "with a record where none begins",
      "a key has its record where none can be",
      changed((block) => void (columnOf(block, COLUMN.offset)[2]! ^= 4)),
    ],
    [
      "with a record behind what it covers",
      "a key has its record where none can be",
      changed((block) => add(headOf(block, COLUMN.offset), 0, 4_000)),
    ],
  ])("%s", async (_, message, change) => {
    const disk = await small();
    expect((await startOn(forge(disk, () => undefined))).resumed).toBe(true);
    await expectNoUse(forge(disk, change), message);
  });
});

test("a checkpoint of many blocks of keys is read, and its order is held across them", async () => {
  const disk = new FakeDisk();
  const store = await openLog({ directory: "", disk, checkpointBytesMin: 1 });
  const keys = Array.from({ length: 2_500 }, (_, at) => `key ${String(at).padStart(4, "0")}`);
  for (let at = 0; at < keys.length; at += 100) {
    const some = keys.slice(at, at + 100).map((key) => put(key, "value", `type/${key}`));
    await store.commit({ checks: [], then: some });
  }
  await store.close();
  const start = await expectSameStart(disk);
  expect(start.resumed).toBe(true);
  expect(start.state!.living).toEqual(keys);
  const swapped = forge(disk, ({ blocks }) => {
    const first = blocks.findIndex(({ kind }) => kind === BLOCK.keys);
    expect(blocks.filter(({ kind }) => kind === BLOCK.keys)).toHaveLength(3);
    blocks.splice(first, 2, blocks[first + 1]!, blocks[first]!);
  });
  await expectNoUse(swapped, "its keys are not in order");
});

describe("a checkpoint of segments that were merged since", () => {
  test("is of no use where it ends in one of them", async () => {
    const { disk } = await mergedSince();
    const ends = forge(disk, ({ header, blocks }) => {
      // It covers the merged segment first, and some that follow it.
      const segments = blocks.filter(({ kind }) => kind === BLOCK.segment);
      expect(segments.length).toBeGreaterThan(1);
      blocks.splice(1, segments.length - 1);
      setTo(header, HEADER.segments, 1);
    });
    await expectNoUse(ends, "it ends in a merged segment");
  });

  test("is of no use where a key of theirs has another version", async () => {
    const { disk, before } = await mergedSince();
    const old = withCheckpoint(disk, before);
    expect((await expectSameStart(old)).resumed).toBe(true);
    const other = forge(old, (forged) =>
      add(headOf(blockOf(forged, "keys"), COLUMN.version), 0, 1),
    );
    await expectNoUse(other, "a key has another record in the log");
  });

  test("is of no use where a key of theirs has a revision that nothing has", async () => {
    const { disk, before } = await mergedSince();
    const other = forge(withCheckpoint(disk, before), (forged) => {
      const block = blockOf(forged, "keys");
      // One in the first segment that is never put again.
      const at = Array.from({ length: 300 }, (_, number) => `key ${number}`)
        .toSorted()
        .indexOf("key 16");
      columnOf(block, COLUMN.revision)[2 * at]! ^= 1;
    });
    await expectNoUse(other, "a key has no record in the log");
  });
});

test("a segment of which less can be read than it has is damaged, and no checkpoint hides it", async () => {
  const disk = await small();
  const [name] = segmentNames(disk);
  const end = disk.bytes(name!).length - 8;
  const left = (offset: number): number => Math.max(0, end - offset);
  const open = disk.open.bind(disk);
  disk.open = (opened) => {
    const file = open(opened);
    const read = file.read.bind(file);
    if (opened === name) file.read = (into, at) => read(into.subarray(0, left(at)), at);
    return file;
  };
  const notices: string[] = [];
  const onNotice = (message: string): void => void notices.push(message);
  const error = await failure(() => openLog({ directory: "", disk, onNotice }), "internal");
  expect(error.message).toContain(`${name} is damaged`);
  expect(notices.join()).toContain(`${name} is shorter`);
});

// --- internal ---

/** Holds the start against that of the log alone, and what it says of its checkpoint. */
async function expectNoUse(disk: FakeDisk, message: string): Promise<void> {
  const start = await expectSameStart(disk);
  expect(start.notices.join()).toContain(`CHECKPOINT is of no use (${message})`);
  expect(start.error).toBeUndefined();
  expect(start.resumed).toBe(false);
}

/** Changes the first block of keys. */
function changed(change: (block: ForgedBlock) => void): (forged: Forged) => void {
  return (forged) => change(blockOf(forged, "keys"));
}

function viewOf({ buffer, byteOffset, length }: Uint8Array, at = 0): DataView {
  return new DataView(buffer, byteOffset + at, length - at);
}

function add(view: DataView, at: number, more: number): void {
  setTo(view, at, view.getUint32(at, true) + more);
}

function setTo(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true);
}

/** A store of some segments, with a deletion, a deadline and two content types in its checkpoint. */
async function small(): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const store = await openLog({ directory: "", disk, ...EAGER, segmentBytesMax: 400 });
  await store.commit({ checks: [], then: [put("a", "1"), putFor("b", "2", 1_000_000)] });
  await store.commit({ checks: [], then: [put("é", "3", "x/y"), del("a")] });
  await store.close();
  return disk;
}

/**
 * A store whose first segments were merged, with the checkpoint that was made after that; `before`
 * is one that was made earlier, and can be used as well.
 */
async function mergedSince(): Promise<{ disk: FakeDisk; before: Uint8Array }> {
  const disk = new FakeDisk();
  const store = await openLog({ directory: "", disk, ...EAGER });
  const commit = async (key: string, value: string): Promise<void> => {
    await store.commit({ checks: [], then: [put(key, value)] });
  };
  for (let at = 0; at < 300; at++) await commit(`key ${at}`, "value");
  // The last segment is to have room for what follows: the one it ends in is not merged then.
  const files = disk.list().length;
  for (let at = 0; disk.list().length === files; at++) await commit(`more ${at}`, "value");
  await maintained(store);
  const before = disk.bytes(CHECKPOINT).slice();
  for (let at = 0; at < 15; at++) await commit(`key ${at}`, "new");
  await compactAndCheckpoint(store);
  expect(disk.bytes(CHECKPOINT)).not.toEqual(before);
  await store.close();
  return { disk, before };
}

/** Not to the newest revision, which would seal the last segment. */
async function compactAndCheckpoint(store: LogStore): Promise<void> {
  await store.compact(store.status().revision - 1);
  await maintained(store);
  await store.commit({ checks: [], then: [put("large", "x".repeat(20_000))] });
  await maintained(store);
}
