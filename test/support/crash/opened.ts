/** Opens small stores on fake disks, and tells whether they left anything behind. */

import { openLog, type LogStore } from "../../../src/log/engine.ts";
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from "../../../src/log/format.ts";
import { segmentNumber } from "../../../src/log/segment.ts";
import type { FakeDisk } from "../fake-disk.ts";
import type { FakeTime } from "../fake-time.ts";
import { random as randomOf, type Random } from "../random.ts";
import { hold } from "./look.ts";
import type { SmallOptions } from "./options.ts";

export interface OpeningOptions {
  readonly disk: FakeDisk;
  readonly time: FakeTime;
  readonly random: Random;
  readonly options: SmallOptions;
  /** Told when the store cannot go on, and when work that it does by itself fails. */
  readonly failed: (error: Error) => void;
}

export async function openSmall(opening: OpeningOptions): Promise<LogStore> {
  const { disk, time, options, failed } = opening;
  const bytes = randomOf(opening.random.below(2 ** 32));
  return await openLog({
    ...options,
    directory: disk.directory,
    disk,
    clock: time.clock,
    timer: time.timer,
    random: (count) => Uint8Array.from({ length: count }, () => bytes.below(256)),
    onFatal: failed,
    onNotice: (message) => {
      if (message.includes("failed")) failed(new Error(message));
    },
  });
}

/** @throws when a store that was closed has left something open or half made. */
export function holdLeft(disk: FakeDisk): void {
  hold(disk.openFiles === 0, `${disk.openFiles} files are open after the close`);
  const half = disk.list().filter((name) => name.endsWith(".tmp"));
  hold(half.length === 0, `${half.join()} is left behind`);
  let next = 1;
  for (const name of disk.list().toSorted()) {
    const number = segmentNumber(name);
    if (number === undefined) continue;
    hold(number >= next, `${name} is left behind, and a merged segment stands for it`);
    const header = decodeSegmentHeader(disk.bytes(name).subarray(0, SEGMENT_HEADER_BYTES));
    if (typeof header !== "string") next = (header.merged?.last ?? number) + 1;
  }
}
