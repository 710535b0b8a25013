/** A full disk in the modes that answer before the sync. */

import { describe, expect, test } from "bun:test";
import type { FakeDisk } from "../support/fake-disk.ts";
import { begin, INTERVAL } from "../support/held-store.ts";
import { openOn, segmentNames } from "../support/logs.ts";
import { random } from "../support/random.ts";
import { failure, put, textOf, write } from "../support/stores.ts";
import { turns } from "../support/turns.ts";

describe("a full disk", () => {
  test("keeps nothing of a refused batch, beside a sync that runs, also when the power is cut", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { disk, store, time, fatal } = await begin(INTERVAL);
      await write(store, put("a", "1"));
      disk.isHeld = true;
      time.fire();
      await turns();
      const before = disk.bytes(segmentNames(disk)[0]!).length;
      disk.capacityBytes = used(disk) + 600;
      const refused = failure(() => write(store, put("b", "x".repeat(2_000))), "storage_full");
      await turns();
      await disk.release();
      await disk.release();
      await refused;
      expect(disk.syncsAtOnce).toBe(1);
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      disk.isHeld = false;
      expect(disk.bytes(segmentNames(disk)[0]!)).toHaveLength(before);
      await write(store, put("c", "3"));
      expect(fatal).toEqual([]);
      const again = await openOn(disk.powerCut(random(seed)));
      expect([await textOf(again, "a"), await textOf(again, "b")]).toEqual(["1", undefined]);
      await again.close();
    }
  });

  test("brings nothing back of what was refused, however soon the power is cut", async () => {
    for (let seed = 0; seed < 40; seed++) {
      const { disk, store, time } = await begin(INTERVAL);
      if (seed % 2 === 0) {
        time.fire();
        await turns();
      } else disk.isHeld = true;
      time.fire();
      disk.capacityBytes = used(disk) + 600;
      const large = put("b", "x".repeat(2_000));
      const sent = [write(store, put("a", "1")), write(store, large)];
      const refused = Promise.all(sent.map((one) => failure(() => one, "storage_full")));
      await turns();
      await disk.release();
      await disk.release();
      await refused;
      const again = await openOn(disk.powerCut(random(seed)));
      expect(await textOf(again, "a")).toBeUndefined();
      await again.close();
    }
  });

  test("at a reserve record refuses the write, and a close needs no room", async () => {
    const { disk, store } = await begin(INTERVAL, { reservedRevisions: 1 });
    disk.capacityBytes = used(disk);
    await failure(() => write(store, put("a", "1")), "storage_full");
    await store.close();
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    const again = await openOn(disk);
    expect(await textOf(again, "before")).toBe("1");
    await again.close();
  });
});

// --- internal ---

/** Bytes that all files take. */
function used(disk: FakeDisk): number {
  return disk.list().reduce((sum, name) => sum + disk.bytes(name).length, 0);
}
