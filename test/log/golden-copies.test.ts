/**
 * Copies of stores as they were once made: every later kv must restore them. A second reader, made from
 * FORMAT.md, finds the same in them; every flipped bit and every cut of them is found.
 */

import { expect, test } from "bun:test";
import { verifySnapshot } from "../../src/log/snapshot-reader.ts";
import { copyOf, inPieces, restoreInto } from "../support/copies.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { Refusal } from "../support/format/bytes.ts";
import { readSnapshot } from "../support/format/snapshot.ts";
import { goldenCopies, goldenShown } from "../support/golden-directories.ts";
import { openOn } from "../support/logs.ts";
import { changesBetween, failure, shownCommits } from "../support/stores.ts";

const [golden] = goldenCopies as [(typeof goldenCopies)[number]];
const copies = [...golden.files];

test("the store that is restored from them shows what it did when they were made", async () => {
  const store = await openRestored();
  const { store: _, ...shown } = JSON.parse(JSON.stringify(await goldenShown(store)));
  const { store: __, ...expected } = golden.shown as { store: string };
  expect(shown).toEqual(expected);
  await store.close();
});

test("the reader of the format finds in them, and in a new copy, what the store shows", async () => {
  const contents = copies.map(([name, bytes]) => readSnapshot(name, bytes));
  const [full, since] = contents as [(typeof contents)[0], (typeof contents)[0]];
  expect(since.since).toBe(full.revision);
  expect(since.store).toBe(full.store);
  const store = await openRestored();
  const { revision, oldest } = await store.status();
  const expected = shownCommits(await changesBetween(store, oldest + 1, revision));
  const found = shownCommits([...full.commits, ...since.commits]);
  expect(found.filter(({ revision }) => revision > oldest)).toEqual(expected);
  expect(since.voids).toHaveLength(1);

  const again = readSnapshot("a new copy", await copyOf(store));
  expect(shownCommits(again.commits)).toEqual(found);
  expect(again.voids).toEqual([
    ...since.voids,
    { first: since.revision + 1, last: again.revision },
  ]);
  await store.close();
});

test.each(copies)("%s is refused with any bit flipped, and cut anywhere", async (name, bytes) => {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.slice();
    flipped[bit >>> 3]! ^= 1 << (bit & 7);
    await refused(name, flipped);
  }
  for (let length = 0; length < bytes.length; length++) await refused(name, bytes.slice(0, length));
  await refused(name, Uint8Array.of(...bytes, 0));
});

// --- internal ---

async function openRestored() {
  const disk = new FakeDisk();
  await restoreInto(
    disk,
    copies.map(([, bytes]) => bytes),
  );
  return openOn(disk, { clock: () => golden.now, timer: () => () => {} });
}

async function refused(name: string, bytes: Uint8Array): Promise<void> {
  const error = await failure(() => Array.fromAsync(verifySnapshot(inPieces(bytes))), "internal");
  expect(error.message).toMatch(/^the backup is (broken at byte|cut short after) \d+/);
  expect(() => readSnapshot(name, bytes)).toThrow(Refusal);
}
