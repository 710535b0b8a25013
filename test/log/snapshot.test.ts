/** Copies of an open store: consistent, whole or known to be broken, and in nobody's way. */

import { describe, expect, test } from "bun:test";
import type { Commit, Store } from "../../src/kv.ts";
import { SNAPSHOT_PIECE_BYTES } from "../../src/limits.ts";
import { Copies } from "../../src/log/copies.ts";
import type { LogStore } from "../../src/log/engine.ts";
import { Horizon } from "../../src/log/horizon.ts";
import { recover, type Recovered } from "../../src/log/recovery.ts";
import { Segments } from "../../src/log/segments.ts";
import { snapshotOf } from "../../src/log/snapshot.ts";
import { verifySnapshot, type SnapshotSummary } from "../../src/log/snapshot-reader.ts";
import {
  copyOf,
  inPieces,
  randomBytes,
  replayed,
  restoreInto,
  stateAt,
  view,
  writeSome,
} from "../support/copies.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn, recordsOf, segmentNames } from "../support/logs.ts";
import { random, randomSeed, withSeed, type Random } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { changesBetween, del, failure, put, shownCommits, write } from "../support/stores.ts";
import { turns } from "../support/turns.ts";

const SMALL = { segmentBytesMax: 1_500, mergeBytesMin: 300 };

async function summaryOf(bytes: Uint8Array): Promise<SnapshotSummary> {
  let summary: SnapshotSummary | undefined;
  for await (const _ of verifySnapshot(inPieces(bytes), (whole) => (summary = whole)));
  return summary!;
}

describe("a copy", () => {
  test("of an empty store is whole and has nothing in it", async () => {
    const store = await openOn(new FakeDisk());
    const copy = await copyOf(store);
    const { store: id } = await store.status();
    expect(await summaryOf(copy)).toMatchObject({
      store: id,
      since: undefined,
      revision: 0,
      oldest: 0,
      commits: 0,
      records: 0,
      bytes: copy.length,
    });
    await store.close();
  });

  test("says what is in it", async () => {
    const store = await openOn(new FakeDisk(), { ...SMALL, clock: () => 1234 });
    for (let at = 0; at < 30; at++) await write(store, put("a", "1"), put("b", String(at)));
    await store.compact(3);
    await write(store, del("a"));
    const whole = { since: undefined, revision: 31, oldest: 3, commits: 31, createdAt: 1234 };
    expect(await summaryOf(await copyOf(store))).toMatchObject({ ...whole, records: 61 });
    const since = { since: 30, revision: 31, oldest: 3, commits: 1, records: 1 };
    expect(await summaryOf(await copyOf(store, { since: 30 }))).toMatchObject(since);
    const none = { since: 31, revision: 31, commits: 0, records: 0 };
    expect(await summaryOf(await copyOf(store, { since: 31 }))).toMatchObject(none);
    await store.close();
  });

  test("of large values comes in pieces of a bounded size", async () => {
    const store = await openOn(new FakeDisk());
    for (const size of [10, 600_000, 300_000, 1]) {
      await write(store, put(`of ${size}`, new Uint8Array(size).fill(size)));
    }
    const sizes: number[] = [];
    for await (const piece of store.snapshot!()) sizes.push(piece.length);
    expect(Math.max(...sizes)).toBe(SNAPSHOT_PIECE_BYTES);
    const disk = new FakeDisk();
    await restoreInto(disk, [await copyOf(store)]);
    const again = await openOn(disk);
    expect(await view(again, 4)).toEqual(await view(store, 4));
    await Promise.all([store.close(), again.close()]);
  });

  test("goes back to the oldest readable revision, and since a revision no further", async () => {
    const store = await openOn(new FakeDisk(), SMALL);
    await writeSome(store, random(1), 40);
    const { revision } = await store.status();
    await store.compact(10);
    const details = (await failure(() => copyOf(store, { since: 9 }), "compacted")).details;
    expect(details.oldest).toBe(10);
    await copyOf(store, { since: 10 });
    await failure(() => copyOf(store, { since: revision + 1 }), "invalid_argument");
    await failure(() => copyOf(store, { since: -1 }), "invalid_argument");
    await store.close();
  });

  test("since a revision inside a void is refused, and since its end is not", async () => {
    const disk = new FakeDisk();
    const first = await openOn(new FakeDisk());
    await write(first, put("a"));
    await restoreInto(disk, [await copyOf(first)]);
    const store = await openOn(disk);
    const { revision } = await store.status();
    await write(store, put("b"));
    const { details } = await failure(() => copyOf(store, { since: revision - 1 }), "compacted");
    expect(details.oldest).toBe(revision);
    expect(await summaryOf(await copyOf(store, { since: revision }))).toMatchObject({ commits: 1 });
    // Who has everything below the void learns of it.
    expect(await summaryOf(await copyOf(store, { since: 1 }))).toMatchObject({
      commits: 1,
      records: 2,
    });
    await Promise.all([first.close(), store.close()]);
  });
});

describe("while a copy is read", () => {
  test("nothing is in it that is written and not applied yet", async () => {
    const disk = new FakeDisk();
    const store = await openOn(disk, SMALL);
    for (let at = 1; at <= 20; at++) await write(store, put("a", "x".repeat(100)), put("b"));
    const after = disk.kill();
    const recovered = await recover({
      disk: after,
      clock: Date.now,
      random: randomBytes,
      notice: nothing,
    });
    for (const revision of [0, 1, 7, 19]) {
      const summary = await summaryOf(await copyFrom(after, recovered, revision));
      expect(summary).toMatchObject({ revision, commits: revision, records: 2 * revision });
    }
  });

  test(
    "writes, compactions and merges go on, and it shows the state at its revision",
    async () => {
      const first = randomSeed();
      for (let round = 0; round < rounds(10); round++) {
        await withSeed(first + round, copiedUnderWrites);
      }
    },
    RANDOM_MS_MAX,
  );

  test("a merge may have put its segment there that is not yet known of", async () => {
    const disk = new FakeDisk();
    const store = (await openOn(disk, SMALL)) as LogStore;
    await writeSome(store, random(9), 80);
    await store.compact(40);
    const before = disk.copy();
    await store.maintained();
    const after = disk.copy();
    const { revision } = store.status();
    const wanted = await view(store, revision);
    await store.close();
    const merged = segmentNames(after);
    expect(merged.length).toBeLessThan(segmentNames(before).length - 2);
    const recovered = await recover({
      disk: before.copy(),
      clock: Date.now,
      random: randomBytes,
      notice: nothing,
    });
    // The others may be gone already, or are still to be removed.
    const both = after.copy();
    for (const name of segmentNames(before)) {
      if (!merged.includes(name)) both.place(name, before.bytes(name));
    }
    for (const now of [before, both, after]) {
      const made = new FakeDisk();
      await restoreInto(made, [await copyFrom(now, recovered, revision)]);
      expect(now.openFiles).toBe(0);
      const again = await openOn(made);
      expect(await view(again, revision)).toEqual(wanted);
      await again.close();
    }
  });

  test("no file stays open when its reader goes, aborts, or the store closes", async () => {
    const disk = new FakeDisk();
    const store = await openOn(disk, SMALL);
    await writeSome(store, random(7), 60);
    const open = disk.openFiles;
    const left = store.snapshot!()[Symbol.asyncIterator]();
    expect((await left.next()).done).toBe(false);
    expect(disk.openFiles).toBeGreaterThan(open);
    await left.return!();
    expect(disk.openFiles).toBe(open);

    const abort = new AbortController();
    const aborted = store.snapshot!({ signal: abort.signal })[Symbol.asyncIterator]();
    await aborted.next();
    abort.abort();
    await failure(() => toEnd(aborted), "unavailable");
    expect(disk.openFiles).toBe(open);

    const closing = store.snapshot!()[Symbol.asyncIterator]();
    await closing.next();
    await store.close();
    await failure(() => toEnd(closing), "unavailable");
    expect(disk.openFiles).toBe(0);
    await failure(() => copyOf(store), "unavailable");
  });

  test("a damaged record ends it with file and offset, whichever it is", async () => {
    const disk = new FakeDisk();
    const store = await openOn(disk, SMALL);
    await writeSome(store, random(3), 60);
    const open = disk.openFiles;
    for (const name of segmentNames(disk)) {
      for (const { offset } of recordsOf(disk, name).slice(-2)) {
        disk.bytes(name)[offset + 81]! ^= 1;
        const { message } = await failure(() => copyOf(store), "internal");
        expect(message).toContain(`${name} is damaged at offset ${offset}`);
        expect(disk.openFiles).toBe(open);
        disk.bytes(name)[offset + 81]! ^= 1;
      }
    }
    await copyOf(store);
    await store.close();
  });
});

function nothing(): void {}

/** A copy of what is known of a log, at a revision, as a disk has it. */
async function copyFrom(
  disk: FakeDisk,
  recovered: Recovered,
  revision: number,
): Promise<Uint8Array> {
  const segments = new Segments(recovered.segments);
  const clock = Date.now;
  const source = {
    disk,
    segments,
    horizon: new Horizon({ ...recovered, revision }),
    copies: new Copies({ segments, clock, isFull: () => false, wake: nothing, notice: nothing }),
    store: recovered.store,
    clock,
    checkOpen: nothing,
  };
  const pieces: Uint8Array[] = [];
  for await (const piece of snapshotOf(source)) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function toEnd(pieces: AsyncIterator<Uint8Array>): Promise<void> {
  while ((await pieces.next()).done !== true);
}

async function copiedUnderWrites(next: Random): Promise<void> {
  const store = (await openOn(new FakeDisk(), SMALL)) as LogStore;
  const commits: Commit[] = [];
  const following = follow(store, commits);
  await writeSome(store, next, 20 + next.below(60));
  const reading = { isOver: false };
  const writing = (async () => {
    while (!reading.isOver) {
      await writeSome(store, next, 1 + next.below(5));
      const { revision, oldest } = store.status();
      if (next.oneIn(3)) await store.compact(oldest + next.below(revision - oldest + 1));
      if (next.oneIn(3)) await store.maintained();
    }
  })();
  const pieces: Uint8Array[] = [];
  for await (const piece of store.snapshot!()) {
    pieces.push(piece.slice());
    if (next.oneIn(2)) await turns();
  }
  reading.isOver = true;
  await writing;
  const { revision } = store.status();
  await store.close();
  await following;
  expect(commits.at(-1)!.revision).toBe(revision);

  const copy = Buffer.concat(pieces);
  const summary = await summaryOf(copy);
  const disk = new FakeDisk();
  await restoreInto(disk, [copy]);
  const again = await openOn(disk, SMALL);
  const readable = commits.filter((commit) => {
    return commit.revision > summary.oldest && commit.revision <= summary.revision;
  });
  const restored = await changesBetween(again, summary.oldest + 1, summary.revision);
  expect(shownCommits(restored)).toEqual(shownCommits(readable));
  const some = readable.map((one) => one.revision).filter(() => next.oneIn(8));
  for (const at of [summary.oldest, ...some, summary.revision]) {
    expect(await stateAt(again, at)).toEqual(replayed(commits, at) as never);
  }
  await again.close();
}

/** Every commit of a store, from its beginning until it closes. */
async function follow(store: Store, into: Commit[]): Promise<void> {
  try {
    for await (const { commits } of store.changes(1)) into.push(...commits);
  } catch {
    // The store was closed.
  }
}
