/** A store made of what is sound in a damaged log: everything that is not damaged, and nothing half. */

import { describe, expect, test } from "bun:test";
import type { Commit } from "../../src/kv.ts";
import { RESTORE_VOID_REVISIONS } from "../../src/limits.ts";
import { checkLog } from "../../src/log/check.ts";
import type { LogStore } from "../../src/log/engine.ts";
import { KIND } from "../../src/log/format.ts";
import { repair, type Repaired, type RepairOptions } from "../../src/log/repair.ts";
import { expectEmpty, later, randomBytes, stateAt, writeSome } from "../support/copies.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import {
  appendRecord,
  commitsIn,
  cut,
  killedAfter,
  openOn,
  recordsOf,
  segmentNames,
} from "../support/logs.ts";
import { random, randomSeed, withSeed, type Random } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import {
  changesBetween,
  del,
  failure,
  listAll,
  put,
  shownCommits,
  write,
} from "../support/stores.ts";

const SMALL = { segmentBytesMax: 900 };

function repairOf(from: FakeDisk, into: FakeDisk, options: Partial<RepairOptions> = {}) {
  return repair({
    from,
    into,
    clock: later,
    random: randomBytes,
    segmentBytesMax: 900,
    ...options,
  });
}

/** Repairs a disk into another one, which must pass a check and open without a notice. */
async function repaired(from: FakeDisk): Promise<{ result: Repaired; commits: Commit[] }> {
  const before = new Map(from.list().map((name) => [name, from.bytes(name).slice()]));
  const into = new FakeDisk();
  const result = await repairOf(from, into);
  expect(new Map(from.list().map((name) => [name, from.bytes(name)]))).toEqual(before);
  expect([from.openFiles, into.openFiles]).toEqual([0, 0]);
  expect(await checkLog({ disk: into })).toMatchObject({
    sound: true,
    findings: [],
    store: result.store,
    keys: result.keys,
    commits: result.commits,
  });
  const notices: string[] = [];
  const store = await openOn(into, { onNotice: (message) => notices.push(message) });
  expect(notices).toEqual([]);
  const { oldest, revision, keys } = await store.status();
  expect(oldest).toBe(result.oldest);
  expect(revision).toBeGreaterThanOrEqual(result.revision + RESTORE_VOID_REVISIONS);
  expect((await listAll(store, {})).length).toBe(keys);
  const commits = commitsIn(into);
  const readable = commits.filter((commit) => commit.revision > oldest);
  expect(await changesBetween(store, oldest + 1, revision)).toEqual(readable);
  await store.close();
  return { result, commits };
}

/** A log of a process that died, every commit of a batch of its own. */
function damagable(seed: number): Promise<FakeDisk> {
  return killedAfter((store) => writeSome(store, random(seed), 25), SMALL);
}

describe("a repair of a log with one damaged record keeps every other commit", () => {
  const damages: [string, (bytes: Uint8Array, from: number, to: number, next: Random) => void][] = [
    [
      "one bit of it",
      (bytes, from, to, next) => flip(bytes, 8 * from + next.below(8 * (to - from))),
    ],
    ["one bit of its header", (bytes, from, _, next) => flip(bytes, 8 * from + next.below(640))],
    ["some bytes of its body", (bytes, from, to) => void bytes.fill(7, from + 80, to)],
    ["all of it", (bytes, from, to) => void bytes.fill(7, from, to)],
    ["its header", (bytes, from) => void bytes.fill(0, from, from + 80)],
  ];
  for (const [what, damage] of damages) {
    test(what, async () => {
      const disk = (await damagable(6)).copy();
      const commits = shownCommits(commitsIn(disk));
      const next = random(randomSeed());
      await withSeed(next.seed, async () => {
        for (const name of segmentNames(disk)) {
          for (const { offset, revision } of recordsOf(disk, name)) {
            const bad = disk.copy();
            const end = endOf(disk, name, offset);
            damage(bad.bytes(name), offset, end, next);
            const { result, commits: kept } = await repaired(bad);
            const wanted = commits.filter((commit) => commit.revision !== revision);
            expect(shownCommits(kept)).toEqual(wanted);
            const lost = result.findings.filter(({ severity }) => severity === "damage");
            expect(lost.length).toBeLessThanOrEqual(1);
            if (offset !== recordsOf(disk, segmentNames(disk).at(-1)!).at(-1)!.offset) {
              expect(lost[0]).toMatchObject({ file: name, offset });
              expect(lost[0]!.revisions).toEqual({ first: revision, last: revision });
            }
          }
        }
      });
    });
  }
});

describe("a repair", () => {
  test("of a sound log is a copy of it", async () => {
    const disk = (await damagable(2)).copy();
    const { result, commits } = await repaired(disk);
    expect(shownCommits(commits)).toEqual(shownCommits(commitsIn(disk)));
    expect(result.findings).toEqual([]);
  });

  test("of a merged log with a damaged segment keeps all others", async () => {
    const disk = new FakeDisk();
    const options = { ...SMALL, mergeBytesMin: 300 };
    const store = (await openOn(disk, options)) as LogStore;
    await writeSome(store, random(5), 40);
    await store.compact(30);
    await store.maintained();
    await writeSome(store, random(6), 20);
    const left = copyOpen(disk.kill());
    expect(segmentNames(left)[1]).not.toBe("0000000002.log");
    expect((await repaired(left)).result).toMatchObject({ oldest: 30, findings: [] });
    for (const name of segmentNames(left)) {
      for (const at of [0, 20, 44, 80, 127]) {
        const bad = left.copy();
        bad.bytes(name)[at]! ^= 1;
        const { result, commits } = await repaired(bad);
        expect(shownCommits(commits)).toEqual(shownCommits(commitsIn(left)));
        expect(result.findings[0]).toMatchObject({ file: name, offset: 0 });
      }
      const records = recordsOf(left, name);
      for (const { offset, revision } of records) {
        const bad = left.copy();
        bad.bytes(name)[offset + 41]! ^= 1;
        const wanted = commitsIn(left).filter((commit) => commit.revision !== revision);
        // The record that ends a merged segment carries a revision that is no commit of it.
        const kept = shownCommits((await repaired(bad)).commits);
        expect(kept.length).toBeGreaterThanOrEqual(wanted.length);
        expect(kept).toEqual(expect.arrayContaining(shownCommits(wanted)));
      }
    }
  });

  test("never gives a revision out again that the damaged log may have given", async () => {
    const disk = (await damagable(3)).copy();
    const last = segmentNames(disk).at(-1)!;
    const { offset, revision } = recordsOf(disk, last).at(-1)!;
    const bad = disk.copy();
    bad.bytes(last)[offset + 80]! ^= 1;
    const into = new FakeDisk();
    const result = await repairOf(bad, into);
    expect(result.revision).toBeLessThan(revision);
    const store = await openOn(into);
    expect((await store.status()).revision).toBe(revision + RESTORE_VOID_REVISIONS);
    const inVoid = await failure(() => store.list({}, { revision }), "compacted");
    expect(inVoid.details.oldest).toBe(revision + RESTORE_VOID_REVISIONS);
    await store.close();
  });

  test("shows the newest sound value of a key, and says which one is lost", async () => {
    const disk = copyOpen(
      await killedAfter(async (store) => {
        for (const value of ["1", "2", "3"]) await write(store, put("a", value));
        await write(store, del("a"));
        await write(store, put("b"));
      }),
    );
    const [name] = segmentNames(disk);
    const bad = disk.copy();
    bad.bytes(name!)[recordsOf(disk, name!)[3]!.offset + 81]! ^= 128;
    const { result } = await repaired(bad);
    expect(result.findings).toMatchObject([{ revisions: { first: 4, last: 4 } }]);
    const into = new FakeDisk();
    await repairOf(bad, into);
    const store = await openOn(into);
    expect(await stateAt(store, 4)).toMatchObject([{ key: "a", value: "3", version: 3 }]);
    expect((await store.history("a")).entries.map(({ revision }) => revision)).toEqual([3]);
    // What is lost may have been a part of every state before.
    await failure(() => store.get("a", { revision: 3 }), "compacted");
    await store.close();
  });

  test(
    "of a log with any damage is a store with whole commits of it only",
    async () => {
      const first = randomSeed();
      for (let round = 0; round < rounds(30); round++) {
        await withSeed(first + round, async (next) => {
          const disk = (await damagable(next.below(1_000))).copy();
          const whole = new Map(shownCommits(commitsIn(disk)).map((one) => [one.revision, one]));
          const bad = disk.copy();
          for (let faults = 1 + next.below(5); faults > 0; faults--) {
            const bytes = bad.bytes(next.pick(segmentNames(bad)));
            const at = next.below(bytes.length);
            bytes.fill(next.below(256), at, at + 1 + next.below(400));
          }
          if (next.oneIn(4)) bad.remove(next.pick(segmentNames(bad)));
          if (segmentNames(bad).length === 0) return;
          for (const commit of shownCommits((await repaired(bad)).commits)) {
            expect(commit).toEqual(whole.get(commit.revision)!);
          }
        });
      }
    },
    RANDOM_MS_MAX,
  );

  test("leaves out the unfinished end, and notes it", async () => {
    const disk = (await damagable(4)).copy();
    const last = segmentNames(disk).at(-1)!;
    const bytes = disk.bytes(last);
    const { offset } = recordsOf(disk, last).at(-1)!;
    const torn = cut(disk, last, bytes.length, bytes.slice(offset, offset + 90));
    const { result } = await repaired(torn);
    expect(result.findings).toMatchObject([{ severity: "note", file: last, offset: bytes.length }]);
  });

  test("leaves out a commit of which the end was never written", async () => {
    const whole = await killedAfter(async (store) => {
      await write(store, put("a"));
      await write(store, put("b"), put("c"));
    });
    const [name] = segmentNames(whole);
    const half = cut(whole.copy(), name!, recordsOf(whole, name!)[2]!.offset);
    half.remove("DURABLE");
    const { result, commits } = await repaired(half);
    expect(commits.map(({ revision }) => revision)).toEqual([1]);
    const lost = { file: name!, revisions: { first: 2, last: 2 }, keys: ["b"] };
    expect(result.findings).toMatchObject([{ severity: "note", ...lost }]);
    // A start says the same of it.
    expect((await checkLog({ disk: half })).sound).toBe(true);
  });

  test("that is aborted, or has no room, leaves nothing behind", async () => {
    const disk = (await damagable(5)).copy();
    const into = new FakeDisk();
    const abort = new AbortController();
    const onProgress = ({ bytes, of }: { bytes: number; of: number }): void => {
      if (bytes > 0.75 * of) abort.abort();
    };
    const { signal } = abort;
    await failure(() => repairOf(disk, into, { onProgress, signal }), "unavailable");
    expectEmpty(into);
    into.capacityBytes = 9_000;
    await expect(repairOf(disk, into)).rejects.toMatchObject({ code: "ENOSPC" });
    expectEmpty(into);
    into.place("there", Uint8Array.of(1));
    await failure(() => repairOf(disk, into), "conflict");
    expect(into.list()).toEqual(["there"]);
  });
});

test("a void of nothing, which a start refuses, is left out", async () => {
  const disk = await killedAfter(async (store) => {
    for (const key of ["a", "b"]) await write(store, put(key, "1"));
  });
  const { message } = await failure(async () => {
    const copy = disk.copy();
    appendRecord(copy, { kind: KIND.void, revision: 2, createRevision: 2 });
    await openOn(copy);
  }, "internal");
  expect(message).toContain("a void up to 2, which cannot be");
  appendRecord(disk, { kind: KIND.void, revision: 2, createRevision: 2 });
  const { commits } = await repaired(disk);
  expect(commits.map(({ revision }) => revision)).toEqual([1, 2]);
});

test("a key that was made anew after its deletion was forgotten begins anew", async () => {
  const disk = await killedAfter(async (store) => {
    await write(store, put("a", "1"));
    await write(store, del("a"));
    await store.compact(2);
    await (store as LogStore).maintained();
    await write(store, put("a", "2"));
    await write(store, put("b", "3"));
  });
  const records = segmentNames(disk).flatMap((name) => recordsOf(disk, name));
  expect(records.find(({ revision, kind }) => revision === 3 && kind === 1)).toMatchObject({
    previousRevision: 0,
    createRevision: 3,
  });
  const { result, commits } = await repaired(disk);
  expect(result.findings).toEqual([]);
  expect(commits.at(-2)!.events).toMatchObject([{ key: "a", createRevision: 3, version: 1 }]);
  const into = new FakeDisk();
  await repairOf(disk, into);
  const made = segmentNames(into).flatMap((name) => recordsOf(into, name));
  expect(made.find(({ revision }) => revision === 3)).toMatchObject({ previousRevision: 0 });
});

/** A copy of a disk on which no file is open. */
function copyOpen(disk: FakeDisk): FakeDisk {
  return disk.copy();
}

function flip(bytes: Uint8Array, bit: number): void {
  bytes[bit >>> 3]! ^= 1 << (bit & 7);
}

/** Where the record at an offset ends. */
function endOf(disk: FakeDisk, name: string, offset: number): number {
  const next = recordsOf(disk, name).find((record) => record.offset > offset);
  return next?.offset ?? disk.bytes(name).length;
}
