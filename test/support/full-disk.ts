/** A store with a reserve on a fake disk that is made to fill up, and its time in the test's hand. */

import { expect } from "bun:test";
import { openLog, type LogOptions, type LogStore } from "../../src/log/engine.ts";
import { FULL_DISK_LOOK_MS } from "../../src/limits.ts";
import { RESERVE_FILE } from "../../src/log/reserve.ts";
import { FakeDisk } from "./fake-disk.ts";
import { FakeTime } from "./fake-time.ts";

export const ROOM_AGAIN = "the disk has room again: writes go on";

export interface Filling {
  readonly disk: FakeDisk;
  readonly store: LogStore;
  readonly time: FakeTime;
  readonly notices: string[];
  /** Errors that end the store. */
  readonly fatal: Error[];
  /** Lets the time go by until the next look, and the work that is due then be done. */
  look(): Promise<void>;
}

/** Opens a store, and lets its reserve be made. */
export async function openFilling(
  options: Partial<LogOptions> = {},
  disk = new FakeDisk(),
  isReserveMade = true,
): Promise<Filling> {
  const time = new FakeTime();
  const notices: string[] = [];
  const fatal: Error[] = [];
  const store = await openLog({
    directory: disk.directory,
    disk,
    clock: time.clock,
    timer: time.timer,
    reserveBytes: 40_000,
    segmentBytesMax: 8_000,
    mergeBytesMin: 1_000,
    onNotice: (message) => void notices.push(message),
    onFatal: (error) => void fatal.push(error),
    ...options,
  });
  const look = async (): Promise<void> => {
    time.now += FULL_DISK_LOOK_MS;
    time.fire();
    await store.maintained();
  };
  await store.maintained();
  if (isReserveMade) await look();
  return { disk, store, time, notices, fatal, look };
}

/** Leaves a disk no more than some bytes of room. */
export function leave(disk: FakeDisk, bytes: number): void {
  disk.capacityBytes = used(disk) + bytes;
}

/** Bytes that all files take. */
export function used(disk: FakeDisk): number {
  return disk.list().reduce((sum, name) => sum + disk.bytes(name).length, 0);
}

/** Bytes of the reserve that are there, or of one that is being made. */
export function reserved(disk: FakeDisk, suffix = ""): number {
  const name = `${RESERVE_FILE}${suffix}`;
  return disk.list().includes(name) ? disk.bytes(name).length : 0;
}

/** No half-made file is left. */
export function expectTidy(disk: FakeDisk): void {
  expect(disk.list().filter((name) => name.endsWith(".tmp"))).toEqual([]);
}
