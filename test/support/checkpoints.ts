/** What a start makes of a directory, with its checkpoint and without it, and stores that make some. */

import { expect } from "bun:test";
import type { Operation, Store, Txn } from "../../src/kv.ts";
import type { LogStore } from "../../src/log/engine.ts";
import { offsetOf, segmentOf } from "../../src/log/key-index.ts";
import { recover, type Recovered } from "../../src/log/recovery.ts";
import type { FakeDisk } from "./fake-disk.ts";
import type { Random } from "./random.ts";
import { del, put, putFor } from "./stores.ts";

export const CHECKPOINT = "CHECKPOINT";

/** Options with which every new byte is worth a checkpoint. */
export const EAGER = { checkpointBytesMin: 1, mergeBytesMin: 1, segmentBytesMax: 3_000 } as const;

/** What a start answered, and whether it had help. */
export interface Start {
  readonly state?: ReturnType<typeof stateOf>;
  readonly error?: string;
  /** Was a checkpoint used? */
  readonly resumed: boolean;
  readonly notices: readonly string[];
}

/** Starts on a copy of a disk, which stays as it is. */
export async function startOn(disk: FakeDisk): Promise<Start> {
  const copy = disk.copy();
  const notices: string[] = [];
  const notice = (message: string): void => void notices.push(message);
  try {
    const options = { disk: copy, clock: () => 0, random: () => new Uint8Array(16), notice };
    const recovered = await recover(options);
    const state = stateOf(recovered);
    for (const { file } of recovered.segments) file.close();
    recovered.durable.close();
    expect(copy.openFiles).toBe(0);
    return { state, resumed: recovered.covers !== undefined, notices };
  } catch (error) {
    expect(copy.openFiles).toBe(0);
    return { error: (error as Error).message, resumed: false, notices };
  }
}

/** A copy of a disk without its checkpoint. */
export function withoutCheckpoint(disk: FakeDisk): FakeDisk {
  const copy = disk.copy();
  copy.remove(CHECKPOINT);
  return copy;
}

/** A copy of a disk with another checkpoint. */
export function withCheckpoint(disk: FakeDisk, bytes: Uint8Array): FakeDisk {
  const copy = disk.copy();
  copy.place(CHECKPOINT, bytes);
  return copy;
}

/** Holds the start with the checkpoint against the one without it; answers the first. */
export async function expectSameStart(disk: FakeDisk): Promise<Start> {
  const start = await startOn(disk);
  const scan = await startOn(withoutCheckpoint(disk));
  expect(scan.resumed).toBe(false);
  expect(start.error).toEqual(scan.error!);
  expect(start.state).toEqual(scan.state!);
  return start;
}

/** Makes the checkpoint that is due, and whatever else the store has to do by itself. */
export async function maintained(store: Store): Promise<void> {
  await (store as LogStore).maintained();
}

/** Puts and deletes of some keys of each kind, with deadlines, types and sizes. */
export function randomTxn(random: Random): Txn {
  const operation = (): Operation => {
    const prefix = random.pick(["a/", "b/", "é", "\uFFFF", "\u{1F600}"]);
    const key = `${prefix}${random.below(12)}`;
    if (random.oneIn(3)) return del(key);
    const value = "x".repeat(random.below(random.oneIn(8) ? 900 : 40));
    if (random.oneIn(4)) return putFor(key, value, 1 + random.below(2_000));
    return put(key, value, random.pick(["text/plain", "application/json", "x/" + "y".repeat(200)]));
  };
  return { checks: [], then: Array.from({ length: 1 + random.below(4) }, operation) };
}

// --- internal ---

/** All that a start knows, in words that two starts can be compared by. */
function stateOf(recovered: Recovered) {
  const { index, segments, oldest } = recovered;
  const byId = new Map(segments.map((segment) => [segment.id, segment]));
  return {
    store: recovered.store,
    revision: recovered.revision,
    oldest,
    reserved: recovered.reserved,
    voids: recovered.voids.filter(({ last }) => last > oldest),
    keys: [...index.up("")].map((key) => {
      const { position, ...newest } = index.get(key)!;
      const place = [byId.get(segmentOf(position))!.number, offsetOf(position)];
      return { key, newest, place };
    }),
    reversed: [...index.down(undefined)].length,
    living: [...iterate(index.living.up(""))],
    counts: [index.live, index.timed, index.liveBytes, [...index.all()].length],
    segments: segments.map(({ number, end, chain, crc, marks }) => ({
      number,
      end,
      chain,
      crc,
      marks: structuredClone(marks),
    })),
  };
}

function* iterate<T>(iterator: Iterator<T>): Generator<T> {
  for (let next = iterator.next(); next.done !== true; next = iterator.next()) yield next.value;
}
