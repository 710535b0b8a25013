/**
 * The first write to a log that ended without being stopped in order: says which revisions may have
 * been answered and are lost, so that they are never used again and never taken for known.
 */

import { writeFully, type Disk } from "./disk.ts";
import { PendingRecords } from "./encoding.ts";
import { KIND } from "./format.ts";
import { markOf, type Recovered } from "./recovery.ts";
import { withReserve } from "./reserve.ts";
import type { Notice } from "./tail.ts";

/**
 * Voids the revisions between the newest one that survived and the last reserved one, durably, and
 * answers what the log is then; without any it stays as it is. A crash on the way leaves a log of
 * which a start voids the same.
 */
export async function voidLost(
  disk: Disk,
  recovered: Recovered,
  clock: () => number,
  notice: Notice,
): Promise<Recovered> {
  const { revision, reserved, segments, durable, voids } = recovered;
  if (reserved <= revision) return recovered;
  const active = segments.at(-1)!;
  const time = Math.max(recovered.time, clock());
  try {
    const records = new PendingRecords();
    records.addNote({ kind: KIND.void, revision, names: reserved });
    // All of the log was synced by its recovery.
    records.place(active, time, true);
    const bytes = records.bytes.subarray(0, records.end);
    await withReserve(disk, async () => writeFully(active.file, bytes, active.end));
    await active.file.sync();
    active.grow(bytes, records.chain);
    durable.write(markOf(active));
  } catch (error) {
    for (const { file } of segments) file.close();
    durable.close();
    throw error;
  }
  const first = revision + 1;
  notice(
    `the store was not stopped in order: revisions ${first} to ${reserved} are passed over, ` +
      "since writes that had some of them may be lost",
  );
  return { ...recovered, revision: reserved, time, voids: [...voids, { first, last: reserved }] };
}
