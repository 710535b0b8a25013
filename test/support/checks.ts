/** Logs to check, and checks that are held against what a start says. */

import { expect } from "bun:test";
import { KvError } from "../../src/errors.ts";
import { checkLog } from "../../src/log/check.ts";
import type { CheckReport } from "../../src/log/check-report.ts";
import { CHECKPOINT_FILE } from "../../src/log/checkpoint-format.ts";
import type { LogStore } from "../../src/log/engine.ts";
import { DamageError } from "../../src/log/segment.ts";
import { FakeDisk } from "./fake-disk.ts";
import { killedAfter, openOn } from "./logs.ts";
import { del, put, write } from "./stores.ts";

/** Options with which some records make several segments. */
export const SMALL = { segmentBytesMax: 500 };

/** Some segments, left by a process that died: `DURABLE` says that all is synced. */
export function smallLog(): Promise<FakeDisk> {
  return killedAfter(async (store) => {
    await write(store, put("a", "1"));
    await write(store, put("a", "2"), put("b", "3"));
    await write(store, del("a"));
    await write(store, put("a", "4"));
    await store.compact(2);
    await write(store, put("c", "5"), del("b"));
  }, SMALL);
}

/** A merged segment, and others. */
export async function mergedLog(): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const store = (await openOn(disk, { ...SMALL, mergeBytesMin: 100 })) as LogStore;
  for (let at = 0; at < 12; at++) await write(store, put(at % 2 === 0 ? "a" : "b", String(at)));
  await store.compact(8);
  await store.maintained();
  await write(store, put("c"));
  return disk.kill();
}

/** A log with a checkpoint, which a start uses. */
export async function checkpointed(): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const options = { ...SMALL, checkpointBytesMin: 1 };
  const store = (await openOn(disk, options)) as LogStore;
  for (const key of ["a", "b", "c"]) await write(store, put(key, "1"));
  await store.maintained();
  await store.close();
  expect(disk.list()).toContain(CHECKPOINT_FILE);
  return disk;
}

/** The check of a disk, which must say what a start says. */
export async function agreed(disk: FakeDisk): Promise<CheckReport> {
  const before = new Map(disk.list().map((name) => [name, disk.bytes(name).slice()]));
  const { calls, openFiles } = disk;
  const report = await checkLog({ disk });
  expect([disk.calls, disk.openFiles]).toEqual([calls, openFiles]);
  expect(new Map(disk.list().map((name) => [name, disk.bytes(name)]))).toEqual(before);
  const error = await startOf(disk);
  expect(report.sound).toBe(error === undefined);
  if (error instanceof DamageError) {
    const { file, offset } = error;
    const damages = report.findings.filter(({ severity }) => severity === "damage");
    expect(damages).toContainEqual(expect.objectContaining({ file, offset }));
  }
  return report;
}

// --- internal ---

/** What a start says of a disk, which is left as it is. */
async function startOf(disk: FakeDisk): Promise<KvError | undefined> {
  try {
    await (await openOn(disk.copy())).close();
    return undefined;
  } catch (error) {
    if (error instanceof KvError) return error;
    throw error;
  }
}
