/** Options of the engine for small stores, in which everything that is rare happens often. */

import type { Durability } from "../../../src/durability.ts";
import type { LogOptions } from "../../../src/log/engine.ts";
import type { Random } from "../random.ts";

export type SmallOptions = Pick<
  LogOptions,
  | "durability"
  | "history"
  | "reserveBytes"
  | "segmentBytesMax"
  | "mergeBytesMin"
  | "reservedRevisions"
  | "checkpointBytesMin"
  | "valueCacheBytesMax"
  | "recentBytesMax"
>;

/** For a store that is only looked at: it does nothing by itself. */
export function withoutUpkeep(options: SmallOptions): SmallOptions {
  const { history: _, reserveBytes: __, ...others } = options;
  return { ...others, mergeBytesMin: 2 ** 40, checkpointBytesMin: 2 ** 40 };
}

export function smallOptions(random: Random): SmallOptions {
  const unsynced: Durability[] = [{ mode: "os" }, { mode: "interval", ms: 50 }];
  return {
    durability: random.oneIn(3) ? random.pick(unsynced) : { mode: "sync" },
    segmentBytesMax: random.pick([300, 700, 1_500, 4_096, 2 ** 20]),
    mergeBytesMin: random.pick([1, 500, 4_000]),
    reservedRevisions: random.pick([2, 5, 1_000_000]),
    checkpointBytesMin: random.pick([1, 500, 4_000, 2 ** 20]),
    valueCacheBytesMax: random.pick([0, 2 ** 20]),
    recentBytesMax: random.pick([0, 1_000, 2 ** 20]),
    ...(random.oneIn(4) && { history: random.pick([{ bytes: 1_500 }, { milliseconds: 3_000 }]) }),
    ...(random.oneIn(4) && { reserveBytes: 600 }),
  };
}
