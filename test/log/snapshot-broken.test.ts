/** A copy that is broken or cut short is refused, whatever is wrong with it. */

import { describe, expect, test } from "bun:test";
import { verifySnapshot } from "../../src/log/snapshot-reader.ts";
import { copyOf, expectEmpty, inPieces, restoreInto } from "../support/copies.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn } from "../support/logs.ts";
import { del, failure, put, write } from "../support/stores.ts";

/** Three commits, one of them of two records, and a void. */
async function smallCopy(since?: number): Promise<Uint8Array> {
  const first = await openOn(new FakeDisk());
  await write(first, put("a", "1"));
  const disk = new FakeDisk();
  await restoreInto(disk, [await copyOf(first)]);
  await first.close();
  const store = await openOn(disk);
  await write(store, put("b", "2"), put("c", "3"));
  await write(store, del("a"));
  const copy = await copyOf(store, since === undefined ? {} : { since });
  await store.close();
  return copy;
}

async function verified(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const passed: Uint8Array[] = [];
  for await (const piece of verifySnapshot(pieces)) passed.push(piece);
  return Buffer.concat(passed);
}

describe("a whole copy", () => {
  test("passes as it is, in pieces of any size", async () => {
    const copy = await smallCopy();
    for (const size of [1, 7, 80, 127, 128, 129, copy.length]) {
      expect(Buffer.compare(await verified(inPieces(copy, size)), copy)).toBe(0);
    }
  });
});

describe("refused by who reads it and by a restore is", () => {
  test("every truncation", async () => {
    const copy = await smallCopy();
    for (let length = 0; length < copy.length; length++) {
      const short = copy.subarray(0, length);
      const { message } = await failure(() => verified(inPieces(short)), "internal");
      expect(message).toBe(`the backup is cut short after ${length} bytes`);
      const disk = new FakeDisk();
      const refused = await failure(() => restoreInto(disk, [short]), "internal");
      expect(refused.message).toBe(`a.backup: ${message}`);
      expectEmpty(disk);
    }
  });

  test("every flipped bit", async () => {
    const copy = await smallCopy();
    for (let bit = 0; bit < 8 * copy.length; bit++) {
      const bad = copy.slice();
      bad[bit >>> 3]! ^= 1 << (bit & 7);
      await failure(() => verified(inPieces(bad)), "internal");
      // A restore has the same parser: one bit of each byte shows that it minds it.
      if (bit % 8 !== (bit >>> 3) % 8) continue;
      const disk = new FakeDisk();
      const { message } = await failure(() => restoreInto(disk, [bad]), "internal");
      expect(message).toStartWith("a.backup: the backup is ");
      expectEmpty(disk);
    }
  });

  test("what stands behind its end, another copy too", async () => {
    const copy = await smallCopy();
    for (const more of [Uint8Array.of(0), copy]) {
      const { message } = await failure(
        () => verified(inPieces(Buffer.concat([copy, more]))),
        "internal",
      );
      expect(message).toBe(
        `the backup is broken at byte ${copy.length}: there are bytes behind its end`,
      );
    }
  });

  test("what is no copy at all, with words that say so", async () => {
    for (const text of ["", "x", "<html>", "x".repeat(500)]) {
      const { message } = await failure(() => verified(inPieces(Buffer.from(text))), "internal");
      const wanted = text.length < 128 ? "is cut short" : "it is no backup of kv";
      expect(message).toContain(wanted);
    }
  });

  test("a record left out, two that changed places, and one that is there twice", async () => {
    const copy = await smallCopy();
    // The records of b and c have the same length.
    const at = Buffer.from(copy).indexOf("b2".slice(0, 1), 128 + 96) - 80;
    const [b, c] = [copy.subarray(at, at + 112), copy.subarray(at + 112, at + 224)];
    const [before, after] = [copy.subarray(0, at), copy.subarray(at + 224)];
    for (const middle of [[b], [c], [c, b], [b, b, c], [b, c, c]]) {
      const bad = Buffer.concat([before, ...middle, after]);
      await failure(() => verified(inPieces(bad)), "internal");
    }
    await verified(inPieces(Buffer.concat([before, b, c, after])));
  });
});
