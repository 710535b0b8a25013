/**
 * Every cut and every flipped bit of every file of the golden directories: the start is refused, with
 * the place, or the store shows what it did before; only of what was never known to be synced may the
 * end be missing. A second reader, made from FORMAT.md, has to come to the same.
 */

import { describe, expect, test } from "bun:test";
import { DamageCheck } from "../support/damage-check.ts";
import { same, verdictOf } from "../support/damage.ts";
import { goldenDirectories } from "../support/golden-directories.ts";
import { rounds } from "../support/rounds.ts";

/**
 * Bytes of a directory's log above which a bit of each byte of it is enough for a quick run; where
 * the environment asks for a longer one, it is every bit of every file.
 */
const EVERY_BIT_BYTES_MAX = rounds(1) > 1 ? Number.POSITIVE_INFINITY : 2_500;

describe.each(goldenDirectories.map((golden) => [golden.name, golden] as const))(
  "%s",
  (_, golden) => {
    test("is what the reader of the format finds in it", async () => {
      const check = await DamageCheck.begin(golden);
      const verdict = verdictOf(golden.files);
      expect(verdict).toEqual(check.read);
    });

    test("with one bit flipped is refused, or shows the same", async () => {
      const check = await DamageCheck.begin(golden);
      const log = [...golden.files].filter(([name]) => name.endsWith(".log"));
      const everyBit = log.reduce((sum, [, { length }]) => sum + length, 0) <= EVERY_BIT_BYTES_MAX;
      for (const [name, bytes] of golden.files) {
        for (let at = 0; at < bytes.length; at++) {
          // What no open and no read ever looks at can change nothing.
          if (!check.isRead(name, at)) continue;
          for (let bit = everyBit ? 0 : at % 8; bit < 8; bit += everyBit ? 1 : 8) {
            await check.single(name, `bit ${bit} of byte ${at} flipped`, at, (copy) => {
              copy[at]! ^= 1 << bit;
              return copy;
            });
          }
        }
      }
      expect(check.refused).toBeGreaterThan(check.opened);
    }, 240_000);

    test("with one file cut short anywhere is refused, or shows the same", async () => {
      const check = await DamageCheck.begin(golden);
      for (const [name, bytes] of golden.files) {
        for (let length = 0; length < bytes.length; length++) {
          // Between bytes that nothing looks at, one cut is like the other.
          const matters = check.isRead(name, length) || check.isRead(name, length - 1);
          if (!matters && length % 512 !== 0) continue;
          await check.single(name, `cut to ${length} bytes`, length, (copy) =>
            copy.slice(0, length),
          );
        }
      }
      expect(check.refused + check.opened).toBeGreaterThan(1_000);
    }, 240_000);
  },
);

test("the golden directories differ in what they show", () => {
  const views = goldenDirectories.map(
    ({ name, files }) => [storeOf(name), verdictOf(files)] as const,
  );
  for (const [at, [store, view]] of views.entries()) {
    for (const [otherStore, other] of views.slice(at + 1)) {
      expect(same(view, other)).toBe(store === otherStore);
    }
  }
});

/** A number behind a name is the version of its checkpoint: the log is the same. */
function storeOf(name: string): string {
  return name.replace(/-checkpoint-\d+$/, "-checkpoint");
}
