/** Small disks that are full at many places: nothing is lost, and everything goes on by itself. */

import { expect } from "bun:test";
import { testWithTool } from "../support/needs.ts";
import { randomSeed, withSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { fullDiskRun } from "./full-disk-run.ts";

testWithTool(
  "root mount umount truncate mkfs.ext4",
  "on a full disk writes are refused, reads and deletes go on, nothing is lost, and writes resume",
  () =>
    withSeed(randomSeed(), async ({ seed }) => {
      const began = performance.now();
      const [disks, refused, deleted] = [Math.ceil(rounds(4) / 3), { count: 0 }, { count: 0 }];
      let begun = 0;
      const lane = async (): Promise<void> => {
        while (begun < disks) {
          const own = seed + begun++;
          const { answers, deletedWhileFull } = await fullDiskRun(own).catch((error: unknown) => {
            throw new Error(`again: bun test/process/full-disk-long.ts 1 ${own}`, { cause: error });
          });
          refused.count += answers.get("storage_full") ?? 0;
          deleted.count += deletedWhileFull;
        }
      };
      // They mostly wait for the server, which looks for room every second.
      await Promise.all(Array.from({ length: LANES }, lane));
      const milliseconds = Math.round(performance.now() - began);
      console.log(
        `${disks} full disks in ${milliseconds} ms: ${refused.count} writes refused, ` +
          `${deleted.count} deletes meanwhile`,
      );
      expect(refused.count).toBeGreaterThan(0);
      expect(deleted.count).toBeGreaterThan(0);
    }),
  RANDOM_MS_MAX,
);

// --- internal ---

const LANES = 4;
