/** Merges: what goes, what has to stay, and that a crash or a fault at any step loses nothing. */

import { describe, expect, test } from "bun:test";
import type { LogOptions, LogStore } from "../../src/log/engine.ts";
import { decodeSegmentHeader, KIND } from "../../src/log/format.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { commitsIn, openOn, recordsOf, segmentNames } from "../support/logs.ts";
import { random } from "../support/random.ts";
import {
  changesBetween,
  del,
  dump,
  failure,
  listAll,
  put,
  textOf,
  write,
} from "../support/stores.ts";

const SMALL: Partial<LogOptions> = { segmentBytesMax: 1_000, mergeBytesMin: 1 };

async function begin(options: Partial<LogOptions> = {}, disk = new FakeDisk()) {
  const notices: string[] = [];
  const onNotice = (message: string): void => void notices.push(message);
  const store = (await openOn(disk, { ...SMALL, onNotice, ...options })) as LogStore;
  return { disk, store, notices };
}

/** More calls on a merged file than there are in a merge. */
const CALLS_MAX = 50;

/** Rewrites a few keys again and again; leaves segments full of what is replaced. */
async function rewrite(store: LogStore, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const key of ["a", "b", "c"])
      await write(store, put(key, `${key}${round}`.padEnd(60, "x")));
  }
}

function bytesOf(disk: FakeDisk): number {
  return segmentNames(disk).reduce((sum, name) => sum + disk.bytes(name).length, 0);
}

function headers(disk: FakeDisk) {
  return segmentNames(disk).map((name) => {
    const header = decodeSegmentHeader(disk.bytes(name));
    if (typeof header === "string") throw new Error(header);
    return header;
  });
}

describe("a merge", () => {
  test("gives back the room of what nobody can read, and nothing else changes", async () => {
    const { disk, store } = await begin();
    await rewrite(store, 30);
    const { revision } = await store.status();
    const before = await listAll(store, {});
    const full = bytesOf(disk);
    await store.compact(revision);
    await store.maintained();
    expect(bytesOf(disk)).toBeLessThan(full / 8);
    expect(await listAll(store, {})).toEqual(before);
    const crashed = disk.kill();
    const again = await openOn(crashed);
    expect(await listAll(again, {})).toEqual(before);
    expect(await again.status()).toMatchObject({ revision, oldest: revision, keys: 3 });
    await again.close();
    expect(crashed.openFiles).toBe(0);
  });

  test("keeps all history above the oldest readable revision", async () => {
    const { disk, store } = await begin();
    await rewrite(store, 20);
    await store.compact(31);
    const right = await dump(store, 31);
    const states = await statesFrom(store, 31, 60);
    await store.maintained();
    expect(headers(disk)[0]!.merged).toEqual({ first: 1, last: expect.any(Number) });
    expect(await dump(store, 31)).toEqual(right);
    expect(await statesFrom(store, 31, 60)).toEqual(states);
    const again = await openOn(disk.kill());
    expect(await dump(again, 31)).toEqual(right);
    expect(await statesFrom(again, 31, 60)).toEqual(states);
    await again.close();
  });

  test("keeps the newest and the oldest revision where the newest commit, a deletion, is left out", async () => {
    const { disk, store } = await begin();
    await write(store, put("a", "1"));
    const { revision } = await write(store, del("a"));
    await store.compact(revision);
    await store.maintained();
    expect(commitsIn(disk)).toEqual([]);
    for (const crashed of [disk.copy().kill(), disk.powerCut(random(1))]) {
      const again = await openOn(crashed);
      expect(await again.status()).toMatchObject({ revision, oldest: revision, keys: 0 });
      expect((await write(again, put("b"))).revision).toBeGreaterThan(revision);
      await again.close();
    }
  });

  test("leaves a deletion where an older record of its key stays", async () => {
    const { disk, store } = await begin({ segmentBytesMax: 4_000 });
    // One segment with little garbage: it is not worth a merge.
    for (let at = 0; at < 20; at++) await write(store, put(`k${at}`, "x".repeat(80)));
    await write(store, put("last", "x".repeat(80)));
    await write(store, del("k7"));
    await rewrite(store, 30);
    await store.compact((await store.status()).revision);
    await store.maintained();
    expect(headers(disk)[0]!.merged).toBeUndefined();
    const kept = commitsIn(disk).flatMap(({ events }) => events);
    expect(kept.filter(({ key }) => key === "k7").map(({ type }) => type)).toEqual([
      "put",
      "delete",
    ]);
    const again = await openOn(disk.kill());
    expect(await textOf(again, "k7")).toBeUndefined();
    await again.close();
  });

  test("leaves out deletions whose older records go with it or went before", async () => {
    const { disk, store } = await begin();
    for (let at = 0; at < 40; at++) {
      await write(store, put(`k${at}`, "x".repeat(60)));
      await write(store, del(`k${at}`));
    }
    await store.compact((await store.status()).revision);
    await store.maintained();
    expect(commitsIn(disk)).toEqual([]);
    expect(segmentNames(disk).length).toBeLessThanOrEqual(2);
  });

  test("marks the end of a commit of which only a part is left", async () => {
    const { disk, store } = await begin();
    await write(store, put("a", "1"), put("b", "1"), put("c", "1"));
    await write(store, put("b", "2".repeat(900)), put("c", "2"));
    await write(store, put("d", "3".repeat(900)));
    await store.compact(3);
    await store.maintained();
    const changes = commitsIn(disk).map(({ revision, events }) => [revision, events.length]);
    expect(changes).toEqual([
      [1, 1],
      [2, 2],
      [3, 1],
    ]);
    const again = await openOn(disk.kill());
    expect(await textOf(again, "a")).toBe("1");
    await again.close();
  });

  test("ends its segment with a record that says so, and is damaged without it", async () => {
    const { disk, store } = await begin();
    await rewrite(store, 10);
    await store.compact(30);
    await store.maintained();
    await store.close();
    const [name] = segmentNames(disk);
    const records = recordsOf(disk, name!);
    expect(records.at(-1)!.kind).toBe(KIND.end);
    const broken = disk.copy();
    broken.remove("CHECKPOINT");
    broken.place(name!, disk.bytes(name!).slice(0, records.at(-1)!.offset));
    const error = await openOn(broken).then(undefined, (reason: Error) => reason);
    expect((error as Error).message).toContain(`${name} is damaged`);
  });

  test("puts small neighbours together", async () => {
    const { disk, store } = await begin({ segmentBytesMax: 4_000 });
    for (let at = 0; at < 12; at++) {
      await write(store, put(`k${at}`, "x".repeat(30)));
      await rewrite(store, 12);
      await store.compact((await store.status()).revision);
      await store.maintained();
    }
    expect(segmentNames(disk).length).toBeLessThan(6);
    const again = await openOn(disk.kill());
    expect((await listAll(again, {})).length).toBe(15);
    await again.close();
  });

  test("does not touch a segment that is damaged, and the operator is told", async () => {
    const { disk, store, notices } = await begin();
    await rewrite(store, 10);
    const [first] = segmentNames(disk);
    disk.bytes(first!)[300]! ^= 1;
    const before = Buffer.from(disk.bytes(first!));
    await store.compact(30);
    await store.maintained();
    expect(Buffer.compare(disk.bytes(first!), before)).toBe(0);
    expect(notices.join()).toContain(`${first} is damaged`);
    await write(store, put("after"));
    await store.close();
    expect(disk.openFiles).toBe(0);
  });

  test("goes on beside readers of the past, which find all there is", async () => {
    const { store } = await begin({ valueCacheBytesMax: 0, recentBytesMax: 0 });
    await rewrite(store, 60);
    await store.compact(100);
    const right = await statesFrom(store, 100, 180);
    const events = await changesBetween(store, 101, 180);
    const merged = store.maintained();
    let looks = 0;
    const done = merged.then(() => "done");
    while ((await Promise.race([done, nextTurn()])) !== "done") {
      const at = 100 + (looks++ % 81);
      expect(await statesFrom(store, at, at)).toEqual([right[at - 100]!]);
    }
    expect(looks).toBeGreaterThan(3);
    expect(await changesBetween(store, 101, 180)).toEqual(events);
    await failure(() => store.get("a", { revision: 99 }), "compacted");
    await store.close();
  });
});

describe("while segments are merged,", () => {
  test("keys change and are forgotten, and are read where they stand then", async () => {
    // By a clock that stands still no sync is slow, and no write waits for others.
    const { disk, store } = await begin({ valueCacheBytesMax: 0, clock: () => 1_000 });
    const old = Array.from({ length: CALLS_MAX }, (_, at) => `old ${at}`);
    for (const key of old) {
      await write(store, put(key, "1"));
      await rewrite(store, 1);
    }
    await write(store, put("gone", "1"), put("made anew", "1"));
    await write(store, del("gone"), del("made anew"));
    await rewrite(store, 3);
    let calls = 0;
    const work: Promise<unknown>[] = [];
    disk.fault = ({ kind, name }) => {
      if (!name.endsWith(".log.tmp") || calls === CALLS_MAX) return undefined;
      // At each call another key: however far the merge is, one of them was copied before.
      work.push(write(store, put(old[calls++]!, kind), put("a", kind), put(`new ${calls}`)));
      if (calls === 2) work.push(store.compact(store.status().revision));
      if (calls === 4) work.push(write(store, put("made anew", "2")));
      return undefined;
    };
    await store.compact(4 * CALLS_MAX - 10);
    await store.maintained();
    await Promise.all(work);
    disk.fault = undefined;
    expect(headers(disk)[0]!.merged).toBeDefined();
    expect(calls).toBeGreaterThan(6);
    const state = await listAll(store, {});
    expect(state.map(({ key }) => key)).toContain("made anew");
    for (const key of old.slice(0, calls)) expect(await textOf(store, key)).not.toBe("1");
    const again = await openOn(disk.kill());
    expect(await listAll(again, {})).toEqual(state);
    await again.close();
  });
});

describe("a merge that fails", () => {
  test("leaves all as it was where the disk has other bytes than were written", async () => {
    const { disk, store, notices } = await begin();
    await rewrite(store, 20);
    const before = await listAll(store, {});
    const first = "0000000001.log.tmp";
    disk.fault = ({ kind, name }) => {
      if (kind === "sync" && name === first) disk.bytes(first)[200]! ^= 1;
      return undefined;
    };
    await store.compact(60);
    await store.maintained();
    expect(notices.join()).toContain("what was merged does not read back");
    expect(headers(disk)[0]!.merged).toBeUndefined();
    expect(await listAll(store, {})).toEqual(before);
    await store.close();
  });

  test("is tried again, also where its file could not be removed", async () => {
    const time = new FakeTime();
    const { disk, store, notices } = await begin({ clock: time.clock, timer: time.timer });
    await rewrite(store, 20);
    const first = "0000000001.log.tmp";
    let fails = true;
    disk.fault = ({ kind, name }) =>
      fails && name === first && ["sync", "unlink"].includes(kind) ? "EIO" : undefined;
    await store.compact(60);
    await store.maintained();
    expect(notices.join()).toMatch(/^merging segments failed, and is tried again: EIO: sync/);
    expect(disk.list()).toContain(first);
    fails = false;
    time.fire();
    await store.maintained();
    expect(disk.list().filter((name) => name.endsWith(".tmp"))).toEqual([]);
    expect(headers(disk)[0]!.merged).toBeDefined();
    await store.close();
  });

  test("needs no further file once its own has its name", async () => {
    const { disk, store, notices } = await begin();
    await rewrite(store, 20);
    disk.lookFault = ({ kind }) => (kind === "open" ? "EMFILE" : undefined);
    await store.compact(60);
    await store.maintained();
    expect(notices).toEqual([]);
    expect(headers(disk)[0]!.merged).toBeDefined();
    disk.lookFault = undefined;
    expect((await listAll(store, {})).length).toBe(3);
    const again = await openOn(disk.kill());
    expect((await listAll(again, {})).length).toBe(3);
    await again.close();
  });
});

describe("a merge that is broken off", () => {
  test.each(["the process dies", "the power is cut"])(
    "at any call loses nothing when %s",
    async (how) => {
      for (let dies = 1, reached = true; reached; dies++) {
        const { disk, store } = await begin();
        await rewrite(store, 8);
        await write(store, del("b"));
        await store.compact(20);
        await store.maintained();
        await rewrite(store, 8);
        await write(store, del("a"));
        const right = await dump(store, 20);
        const { revision } = await store.status();
        const first = disk.calls + dies;
        disk.fault = () => (disk.calls >= first ? "EIO" : undefined);
        await store.compact(revision).catch(() => undefined);
        await store.maintained();
        reached = disk.calls >= first;
        const after = how === "the power is cut" ? disk.powerCut(random(dies)) : disk.kill();
        const again = (await openOn(after, SMALL)) as LogStore;
        expect(replacedOn(after)).toEqual([]);
        const { oldest } = await again.status();
        expect([20, revision]).toContain(oldest);
        if (oldest === 20) expect(await dump(again, 20)).toEqual(right);
        expect(await statesFrom(again, revision, revision)).toEqual(
          [{ c: "c7".padEnd(60, "x") }].map(withB),
        );
        await again.maintained();
        const state = await listAll(again, {});
        const last = await openOn(after.kill());
        expect(await listAll(last, {})).toEqual(state);
        await last.close();
        expect(dies).toBeLessThan(400);
      }
    },
    20_000,
  );
});

// --- internal ---

/** The segments for which merged ones stand. */
function replacedOn(disk: FakeDisk): number[] {
  const all = headers(disk);
  return all
    .map(({ number }) => number)
    .filter((number) =>
      all.some(({ merged }) => merged && merged.first < number && number <= merged.last),
    );
}

function withB<T extends object>(state: T): T & { b: string } {
  return { ...state, b: "b7".padEnd(60, "x") };
}

/** What every key was at each revision, as text. */
async function statesFrom(
  store: LogStore | Awaited<ReturnType<typeof openOn>>,
  from: number,
  to: number,
) {
  const states: Record<string, string>[] = [];
  for (let revision = from; revision <= to; revision++) {
    const state: Record<string, string> = {};
    for (const key of ["a", "b", "c"]) {
      const { entry } = await store.get(key, { revision });
      if (entry !== undefined) state[key] = Buffer.from(entry.value).toString();
    }
    states.push(state);
  }
  return states;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
