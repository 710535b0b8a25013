/** Stores in the modes of durability, on disks whose syncs can be held. */

import type { KvError } from "../../src/errors.ts";
import { BACKGROUND_LOOK_MS } from "../../src/limits.ts";
import type { LogOptions } from "../../src/log/engine.ts";
import { FakeTime } from "./fake-time.ts";
import { HeldDisk } from "./held-disk.ts";
import { openOn } from "./logs.ts";
import { put, write } from "./stores.ts";

export const INTERVAL = { mode: "interval", ms: 70 } as const;
export const OS = { mode: "os" } as const;

/** A store in a mode, with one entry that is synced, and the delays of the timers it has set. */
export async function begin(durability: LogOptions["durability"], more: Partial<LogOptions> = {}) {
  const disk = new HeldDisk();
  const time = new FakeTime();
  const delays: number[] = [];
  const fatal: KvError[] = [];
  const store = await openOn(disk, {
    durability: durability!,
    clock: time.clock,
    timer: (callback, ms) => {
      if (ms !== BACKGROUND_LOOK_MS) delays.push(ms);
      return time.timer(callback, ms);
    },
    onFatal: (error) => fatal.push(error),
    ...more,
  });
  await write(store, put("before", "1"));
  return { disk, time, delays, fatal, store };
}
