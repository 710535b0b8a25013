/** Stores made of copies: the same as what was copied, or nothing at all. */

import { describe, expect, test } from "bun:test";
import type { Store } from "../../src/kv.ts";
import { RESTORE_VOID_REVISIONS } from "../../src/limits.ts";
import { checkLog } from "../../src/log/check.ts";
import type { LogStore } from "../../src/log/engine.ts";
import {
  copyOf,
  expectEmpty,
  inPieces,
  randomBytes,
  restoreInto,
  stateAt,
  view,
  writeSome,
} from "../support/copies.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn } from "../support/logs.ts";
import { random, randomSeed, withSeed, type Random } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { del, failure, put, write } from "../support/stores.ts";

const SMALL = { segmentBytesMax: 1_500, mergeBytesMin: 300 };

describe("a store that is restored", () => {
  test(
    "from a full copy and any number of later ones equals the one that was copied",
    async () => {
      const first = randomSeed();
      for (let round = 0; round < rounds(8); round++) {
        await withSeed(first + round, restoredInSteps);
      }
    },
    RANDOM_MS_MAX,
  );

  test("has another id, and goes on above a billion revisions that it never had", async () => {
    const disk = new FakeDisk();
    const first = await openOn(new FakeDisk());
    await write(first, put("a", "1"));
    await write(first, put("a", "2"));
    const restored = await restoreInto(disk, [await copyOf(first)]);
    const store = await openOn(disk);
    const status = await store.status();
    expect(status.store).not.toBe((await first.status()).store);
    expect(restored).toMatchObject({ store: status.store, revision: 2, oldest: 0, keys: 1 });
    expect(status.revision).toBe(2 + RESTORE_VOID_REVISIONS);
    const { details } = await failure(() => store.get("a", { revision: 3 }), "compacted");
    expect(details.oldest).toBe(2 + RESTORE_VOID_REVISIONS);
    expect((await write(store, put("a", "3"))).revision).toBe(3 + RESTORE_VOID_REVISIONS);
    expect((await store.get("a")).entry).toMatchObject({ version: 3, createRevision: 1 });
    await Promise.all([first.close(), store.close()]);
  });

  test("from nothing is empty", async () => {
    const disk = new FakeDisk();
    const first = await openOn(new FakeDisk());
    await restoreInto(disk, [await copyOf(first)]);
    const store = await openOn(disk);
    expect(await store.status()).toMatchObject({ keys: 0, oldest: 0 });
    await Promise.all([first.close(), store.close()]);
  });

  test("knows the newest revision also when a merge has taken its commit", async () => {
    const source = (await openOn(new FakeDisk(), SMALL)) as LogStore;
    for (let at = 0; at < 20; at++) await write(source, put("a", String(at)));
    await write(source, put("b"));
    await write(source, del("a"));
    await write(source, del("b"));
    const { revision } = source.status();
    await source.compact(revision);
    await source.maintained();
    const disk = new FakeDisk();
    const restored = await restoreInto(disk, [await copyOf(source)]);
    expect(restored).toMatchObject({ revision, oldest: revision, keys: 0 });
    const store = await openOn(disk);
    expect(await stateAt(store, revision)).toEqual([]);
    expect((await checkLog({ disk: await closed(store, disk) })).findings).toEqual([]);
    await source.close();
  });
});

describe("a restore refuses, and names the copy,", () => {
  test("when the copies do not follow each other", async () => {
    const store = await openOn(new FakeDisk());
    const other = await openOn(new FakeDisk());
    await writeSome(store, random(1), 10);
    await writeSome(other, random(2), 10);
    const full = await copyOf(store);
    const foreign = await copyOf(other, { since: (await store.status()).revision - 1 });
    const { revision: one } = await store.status();
    await writeSome(store, random(3), 10);
    const second = await copyOf(store, { since: one });
    const { revision: two } = await store.status();
    await writeSome(store, random(4), 10);
    const third = await copyOf(store, { since: two });
    const early = await copyOf(store, { since: one - 1 });

    const wrong: [Uint8Array[], RegExp][] = [
      [[], /there is no backup/],
      [[second], new RegExp(`^a.backup has only what came after revision ${one}; the full`)],
      [
        [full, third],
        new RegExp(
          `^b.backup goes on from revision ${two}, but the backup before it ends at revision ${one};`,
        ),
      ],
      [[full, third, second], /^b.backup goes on from revision/],
      [[full, second, second], /^c.backup goes on from revision/],
      [[full, early], new RegExp(`^b.backup goes on from revision ${one - 1}, but`)],
      [[full, full], /^b.backup is a full backup; only the first may be one/],
      [[full, foreign], /^b.backup is of store [0-9a-f]{32}, those before it are of store/],
    ];
    for (const [copies, message] of wrong) {
      const disk = new FakeDisk();
      const error = await failure(() => restoreInto(disk, copies), "invalid_argument");
      expect(error.message).toMatch(message);
      expectEmpty(disk);
    }
    const disk = new FakeDisk();
    const last = third.slice(0, -1);
    const { message } = await failure(() => restoreInto(disk, [full, second, last]), "internal");
    expect(message).toMatch(/^c.backup: the backup is cut short/);
    expectEmpty(disk);
    await Promise.all([store.close(), other.close()]);
  });

  test("when the directory is not empty, and leaves it as it is", async () => {
    const store = await openOn(new FakeDisk());
    await write(store, put("a"));
    const copy = await copyOf(store);
    for (const name of ["0000000001.log", "DURABLE", "notes.txt"]) {
      const disk = new FakeDisk();
      disk.place(name, Uint8Array.of(1));
      const { message } = await failure(() => restoreInto(disk, [copy]), "conflict");
      expect(message).toContain(`not empty: there is ${name}`);
      expect([disk.list(), disk.bytes(name)]).toEqual([[name], Uint8Array.of(1)]);
    }
    await store.close();
  });
});

describe("of a restore that does not come to its end nothing is left", () => {
  test("when it is aborted, or what it reads breaks off", async () => {
    const copy = await longCopy();
    const disk = new FakeDisk();
    const abort = new AbortController();
    const onProgress = ({ bytes }: { bytes: number }): void => {
      if (bytes > copy.length / 2) abort.abort();
    };
    const { signal } = abort;
    await failure(() => restoreInto(disk, [copy], { onProgress, signal }), "unavailable");
    expectEmpty(disk);
    async function* broken() {
      yield* inPieces(copy.subarray(0, 3_000));
      throw new Error("the cable is out");
    }
    const sources = [{ name: "a", pieces: broken() }];
    await expect(restoreInto(disk, [], { sources })).rejects.toThrow("the cable is out");
    expectEmpty(disk);
  });

  test("when the disk is full, wherever", async () => {
    const copy = await longCopy();
    for (let room = 0; room < 16_000; room += 700) {
      const disk = new FakeDisk();
      disk.capacityBytes = room;
      const outcome = await restoreInto(disk, [copy]).then(
        () => "restored",
        (error: { code?: string }) => error.code,
      );
      if (outcome === "restored") continue;
      expect(outcome).toBe("ENOSPC");
      expectEmpty(disk);
    }
  });

  test("a start after a crash at any call finds all of it, or nothing, or refuses", async () => {
    const copy = await longCopy();
    const whole = new FakeDisk();
    await restoreInto(whole, [copy]);
    const right = await openOn(whole.copy());
    const { revision } = await right.status();
    const wanted = await stateAt(right, revision);
    await right.close();
    const seen = { all: 0, nothing: 0, refused: 0 };
    const seed = randomSeed();
    for (let call = 0; call <= whole.calls; call++) {
      const isDone = call === whole.calls;
      // Before the last call all names are still to be lost, one by one.
      const count = call >= whole.calls - 1 ? 300 : 4;
      for (let cuts = 0; cuts < count; cuts++) {
        await withSeed(seed + 1_000 * call + cuts, async (next) => {
          const after = await crashed(copy, call, (disk) => {
            return cuts === 0 ? disk.kill() : disk.powerCut(next);
          });
          const found = await startOn(after, wanted);
          if (isDone) expect(found).toBe("all");
          seen[found]++;
        });
      }
    }
    expect(Math.min(seen.all, seen.nothing, seen.refused)).toBeGreaterThan(0);
  });
});

async function closed(store: Store, disk: FakeDisk): Promise<FakeDisk> {
  await store.close();
  return disk;
}

async function longCopy(): Promise<Uint8Array> {
  const store = await openOn(new FakeDisk());
  await writeSome(store, random(5), 40);
  const copy = await copyOf(store);
  await store.close();
  return copy;
}

/** The disk after a crash of a restore in the middle of a call, or behind its last one. */
async function crashed(
  copy: Uint8Array,
  call: number,
  crash: (disk: FakeDisk) => FakeDisk,
): Promise<FakeDisk> {
  const disk = new FakeDisk();
  let after: FakeDisk | undefined;
  // As the call begins, not as it has been taken back.
  disk.fault = () => {
    if (disk.calls <= call) return undefined;
    after ??= crash(disk);
    return "EIO";
  };
  await restoreInto(disk, [copy]).catch(() => undefined);
  return after ?? crash(disk);
}

async function startOn(disk: FakeDisk, wanted: unknown): Promise<"all" | "nothing" | "refused"> {
  // Once anything has its name, nobody may take the directory for an empty one.
  const isEmpty = disk.list().every((name) => name === "DURABLE.tmp");
  try {
    const store = await openOn(disk);
    const { revision } = await store.status();
    const state = await stateAt(store, revision);
    await store.close();
    // A store of some of it would be taken for all of it.
    if (revision > 0) expect(state).toEqual(wanted as never);
    else expect(isEmpty).toBe(true);
    return revision > 0 ? "all" : "nothing";
  } catch (error) {
    expect((error as { code?: string }).code).toBe("internal");
    return "refused";
  }
}

async function restoredInSteps(next: Random): Promise<void> {
  const source = (await openOn(new FakeDisk(), SMALL)) as LogStore;
  const copies: Uint8Array[] = [];
  let since: number | undefined;
  for (let step = 0; step <= next.below(5); step++) {
    await writeSome(source, next, next.below(40));
    const { revision, oldest } = source.status();
    const most = (since ?? revision) - oldest;
    if (next.oneIn(2)) await source.compact(oldest + next.below(most + 1));
    if (next.oneIn(2)) await source.maintained();
    await writeSome(source, next, next.below(10));
    copies.push(await copyOf(source, since === undefined ? {} : { since }));
    since = source.status().revision;
  }
  const disk = new FakeDisk();
  const restored = await restoreInto(disk, copies);
  const { revision, oldest, keys } = source.status();
  expect(restored).toMatchObject({ revision, oldest, keys });
  const again = await openOn(disk, SMALL);
  expect(await view(again, revision)).toEqual(await view(source, revision));
  for (let key = 0; key < 8; key++) {
    const { entries } = await source.history(`key ${key}`);
    expect((await again.history(`key ${key}`)).entries).toEqual(entries);
  }
  // The copy of a store that was restored is as good.
  const twice = new FakeDisk();
  await restoreInto(twice, [await copyOf(again)], { random: randomBytes });
  const third = await openOn(twice, SMALL);
  expect(await view(third, revision)).toEqual(await view(source, revision));
  await Promise.all([source.close(), again.close(), third.close()]);
  for (const one of [disk, twice]) expect((await checkLog({ disk: one })).findings).toEqual([]);
}
