/** A copy that is broken or cut short is refused, whatever is wrong with it. */

import { describe, expect, test } from "bun:test";
import {
  contentBytes,
  crc32,
  encodeRecord,
  FLAG_COMMIT_END,
  KIND,
  relocateRecord,
  type RecordContent,
} from "../../src/log/format.ts";
import { encodeSnapshotHeader } from "../../src/log/snapshot-format.ts";
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

describe("refused, though all of its checksums are right, is", () => {
  const header = { store: "0".repeat(32), since: undefined, revision: 5, oldest: 0, createdAt: 1 };

  test("nothing of a copy that can be", async () => {
    await verified(inPieces(made(header, [[change(1), open], [change(1)], [change(5)]])));
    await verified(inPieces(made({ ...header, since: 3 }, [[change(4)], [note(KIND.void, 4, 5)]])));
  });

  test("a record of another copy in the same place", async () => {
    const [one, other] = ["1", "2"].map((value) => {
      return made(header, [[change(1, Buffer.from(value))], [change(2)]]);
    }) as [Uint8Array, Uint8Array];
    const end = 128 + 88;
    const mixed = Buffer.concat([other.subarray(0, end), one.subarray(end)]);
    await refused(mixed, "a record does not follow the one before it");
  });

  test("a commit of a revision that cannot be there, or without its end", async () => {
    const wrong: [Records, string][] = [
      [[[change(6)]], "revision 6 cannot be here"],
      [[[change(2)], [change(2)]], "revision 2 cannot be here"],
      [[[change(2)], [change(1)]], "revision 1 cannot be here"],
      [[[change(1), open], [change(2)]], "a commit has two revisions"],
      [[[change(1), open]], "a commit has no end"],
      [[[change(1), open], [note(KIND.void, 1, 5)]], "a commit has no end"],
      [[[change(1, Uint8Array.of(255))]], "a key is no UTF-8"],
    ];
    for (const [records, what] of wrong) await refused(made(header, records), what);
    await refused(made({ ...header, since: 3 }, [[change(3)]]), "revision 3 cannot be here");
  });

  test("a void outside of its place, and a record of another kind", async () => {
    for (const [revision, last] of [
      [1, 3],
      [2, 2],
      [2, 6],
    ] as const) {
      const what = `a void from ${revision} to ${last} cannot be here`;
      await refused(made(header, [[change(2)], [note(KIND.void, revision, last)]]), what);
    }
    const compact = made(header, [[change(2)], [note(KIND.compact, 2, 1)]]);
    await refused(compact, "a record of kind 4, which this kv does not know; use a newer one");
  });

  test("by a restore: a change that goes on from one that is not there", async () => {
    const later = (previousRevision: number): RecordContent => ({ ...change(5), previousRevision });
    const wrong: [Uint8Array, number][] = [
      [made(header, [[change(3)], [later(2)]]), 5],
      [made(header, [[later(2)]]), 5],
      [made(header, [[change(3)], [later(0)]]), 5],
      // What a merge may leave out is a deletion, and nothing is left before it.
      [made({ ...header, oldest: 4 }, [[change(3)], [later(4)]]), 5],
    ];
    for (const [copy, revision] of wrong) {
      await verified(inPieces(copy));
      const disk = new FakeDisk();
      const { message } = await failure(() => restoreInto(disk, [copy]), "internal");
      const what = `revision ${revision} goes on from one that is not there`;
      expect(message).toBe(`a.backup: the backup is broken: ${what}`);
      expectEmpty(disk);
    }
    await restoreInto(new FakeDisk(), [made({ ...header, oldest: 4 }, [[later(4)]])]);
    await restoreInto(new FakeDisk(), [made(header, [[change(3)], [later(3)]])]);
  });

  test("an extension that must be understood", async () => {
    const copy = made(header, [[change(1, Buffer.from("k"), Uint8Array.of(1, 128, 0, 0))]]);
    const view = new DataView(copy.buffer, copy.byteOffset + 128);
    // Four bytes of the value become those of an extension.
    view.setUint16(18, 4, true);
    view.setUint32(20, 0, true);
    const previousCrc = new DataView(copy.buffer).getUint32(12, true);
    relocateRecord(copy, 128, { segment: 0, offset: 128, previousCrc, flags: FLAG_COMMIT_END });
    await refused(copy, "a record has an extension that this kv does not know; use a newer one");
  });

  test("an end that counts other records or commits, or is of another revision", async () => {
    for (const parts of [{ revision: 4 }, { createRevision: 2 }, { version: 2 }]) {
      const copy = made(header, [[change(1)]], parts);
      await refused(copy, "there are not as many records as its end says");
    }
  });

  test("a header of another version, with another flag, or with revisions that cannot be", async () => {
    const whole = made(header, []);
    for (const [at, value, what] of [
      [8, 2, "its format is version 2; this kv reads version 1"],
      [32, 2, "its flags are 2, which this kv does not know"],
      [56, 6, "the revisions in its header cannot be"],
    ] as const) {
      const copy = whole.slice();
      const view = new DataView(copy.buffer);
      view.setUint32(at, value, true);
      view.setUint32(12, crc32(copy.subarray(16, 128), crc32(copy.subarray(0, 12))), true);
      await refused(copy, what);
    }
  });
});

type Records = readonly (readonly [RecordContent, 0?])[];

/** The flags of a record that does not end its commit. */
const open = 0;

function change(revision: number, key: Uint8Array = Buffer.from("k"), value = key): RecordContent {
  const numbers = { revision, previousRevision: 0, createRevision: revision, version: 1 };
  return { kind: KIND.put, key, contentType: "", value, ...numbers, time: 1, deadline: 0 };
}

function note(kind: RecordContent["kind"], revision: number, last: number): RecordContent {
  const none = { key: new Uint8Array(0), value: new Uint8Array(0), version: 0 };
  return { ...change(revision), kind, ...none, createRevision: last };
}

/** A copy of these records, each with checksums that are right. */
function made(
  header: Parameters<typeof encodeSnapshotHeader>[0],
  records: Records,
  end: Partial<RecordContent> = {},
): Uint8Array {
  const copy = [encodeSnapshotHeader(header)];
  let previousCrc = new DataView(copy[0]!.buffer).getUint32(12, true);
  let offset = 128;
  const add = (content: RecordContent, flags: number): void => {
    const bytes = new Uint8Array(contentBytes(content));
    previousCrc = encodeRecord(bytes, 0, content, { segment: 0, offset, previousCrc, flags });
    offset += bytes.length;
    copy.push(bytes);
  };
  for (const [content, flags = FLAG_COMMIT_END] of records) add(content, flags);
  const changes = records.filter(([{ kind }, flags]) => kind === KIND.put && flags !== open);
  const counts = { createRevision: records.length, version: changes.length };
  add({ ...note(KIND.end, header.revision, 0), ...counts, ...end }, FLAG_COMMIT_END);
  return new Uint8Array(Buffer.concat(copy));
}

async function refused(copy: Uint8Array, what: string): Promise<void> {
  const { message } = await failure(() => verified(inPieces(copy)), "internal");
  expect(message).toMatch(/^the backup is broken at byte \d+: /);
  expect(message).toEndWith(`: ${what}`);
}
