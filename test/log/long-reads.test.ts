/** Reads that take longer than a turn: of one revision, whatever happens meanwhile. */

import { expect, test } from "bun:test";
import type { Store } from "../../src/kv.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { openOn } from "../support/logs.ts";
import { scanAll, scanOnce } from "../support/scans.ts";
import { answeredMeanwhile, del, failure, put, putFor, write } from "../support/stores.ts";

const COUNT = 40_000;

/** A store in which every transaction moves keys: there are always as many. */
async function begin(time = new FakeTime()) {
  const { clock, timer } = time;
  const store = await openOn(new FakeDisk(), { clock, timer });
  const names = Array.from({ length: COUNT }, (_, at) => nameOf(at));
  for (let at = 0; at < COUNT; at += 10_000) {
    await write(store, ...names.slice(at, at + 10_000).map((key) => put(key, "")));
  }
  return { store, time };
}

/**
 * Moves keys about until it is told to stop; answers with how many transactions there were. Every one
 * makes a key that never was, next to one far away in the order: a read that loses its place counts
 * some keys twice, or not at all.
 */
async function moveAbout(store: Store, isOver: () => boolean): Promise<number> {
  let moves = 0;
  let gone = nameOf(0);
  while (!isOver()) {
    const made = `${nameOf((moves * 7_919) % COUNT)}+${moves}`;
    await write(store, del(gone), put(made, ""));
    gone = made;
    moves++;
  }
  return moves;
}

test.each([
  { name: "a count", options: { count: true } },
  { name: "a list", options: { keys: true, limit: 10_000 } },
  { name: "a list from the end", options: { keys: true, limit: 10_000, reverse: true } },
  { name: "a list in folders", options: { delimiter: "9", limit: 10_000 } },
])(
  "$name is of one revision while keys are moved about",
  async ({ options }) => {
    const { store } = await begin();
    let over = false;
    const moving = moveAbout(store, () => over);
    for (let round = 0; round < 3; round++) {
      const page = await store.list({}, options);
      // Asked again at its revision, when nobody disturbs it, it is the same.
      const { revision } = page;
      if (round === 2) over = true;
      if (over) await moving;
      expect(await store.list({}, { ...options, revision })).toEqual(page);
      if (page.count !== undefined) expect(page.count).toBe(COUNT);
    }
    expect(await moving).toBeGreaterThan(0);
    await store.close();
  },
  60_000,
);

test.each([false, true])(
  "a scan is of one revision while keys are moved about; from the end: %p",
  async (reverse) => {
    const { store } = await begin();
    let over = false;
    const moving = moveAbout(store, () => over);
    for (let round = 0; round < 3; round++) {
      // Nobody pins the revision of a scan that is asked for piece by piece: at once, then.
      const { revision, next, entries } = await scanOnce(store, {}, { reverse });
      if (round === 2) over = true;
      if (over) await moving;
      expect(next).toBeUndefined();
      expect(entries).toHaveLength(COUNT);
      expect(await scanAll(store, {}, { reverse, revision }, 1_000)).toEqual([...entries]);
    }
    expect(await moving).toBeGreaterThan(0);
    await store.close();
  },
  60_000,
);

test("a count that a compaction overtakes is of a revision that can be read", async () => {
  const { store } = await begin();
  let over = false;
  const moving = moveAbout(store, () => over);
  for (let round = 0; round < 5; round++) {
    const counting = store.list({}, { count: true });
    const { revision } = await store.status();
    await store.compact(revision);
    const { count } = await counting;
    expect(count).toBe(COUNT);
  }
  over = true;
  await moving;
  await store.close();
}, 60_000);

test("a count at a revision that is compacted away meanwhile is compacted", async () => {
  const { store } = await begin();
  const { revision } = await store.status();
  const moved = await moveAbout(store, stopAfter(200));
  expect(moved).toBe(200);
  const outcome = Promise.allSettled([store.list({}, { count: true, revision })]);
  const { oldest } = await store.compact((await store.status()).revision);
  const [counted] = await outcome;
  // Either it was quick enough, or it is told; never a number of what is half forgotten.
  if (counted!.status === "fulfilled") expect(counted!.value.count).toBe(COUNT);
  else expect(counted!.reason).toMatchObject({ code: "compacted", details: { oldest } });
  await store.close();
}, 60_000);

test("a long list shows no key that was due when it began, and the state of one revision", async () => {
  const { store, time } = await begin();
  await write(store, putFor("~due", "", 1_000), putFor("~later", "", 2_000));
  time.now += 1_000;
  const counting = store.list({}, { count: true });
  time.now += 1_000;
  const { count, revision } = await counting;
  // The one whose time has come since may be in it or not, as it was at the revision.
  expect([COUNT, COUNT + 1]).toContain(count!);
  expect((await store.list({}, { count: true, revision })).count).toBe(count!);
  expect((await store.get("~due", { revision })).entry).toBeUndefined();
  expect((await store.list({}, { count: true })).count).toBe(COUNT);
  await store.close();
}, 60_000);

test("others are answered while a long list goes on, and a close ends it", async () => {
  const { store } = await begin();
  const counting = Promise.resolve(store.list({}, { count: true }));
  expect(await answeredMeanwhile(store, counting)).toBeGreaterThan(0);
  const cut = Promise.allSettled([store.list({}, { count: true })]);
  await store.close();
  const [outcome] = await cut;
  if (outcome!.status === "rejected") expect(outcome!.reason.code).toBe("unavailable");
  await failure(() => store.list({}, { count: true }), "unavailable");
}, 60_000);

// --- internal ---

function nameOf(at: number): string {
  return `key/${String(at).padStart(6, "0")}`;
}

function stopAfter(count: number): () => boolean {
  let left = count;
  return () => left-- <= 0;
}
