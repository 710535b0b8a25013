/** Keys that fall due: by themselves, at a start, all at once, all the time, and on a full disk. */

import { describe, expect, test } from "bun:test";
import type { Commit, ListTxnResult, Store } from "../../src/kv.ts";
import { EXPIRE_EVENTS_MAX, EXPIRE_LOOK_MS_MAX } from "../../src/limits.ts";
import { compareKeys } from "../../src/keys.ts";
import type { LogOptions } from "../../src/log/engine.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { openOn } from "../support/logs.ts";
import {
  changesBetween,
  del,
  delRange,
  failure,
  incr,
  put,
  putFor,
  textOf,
  touch,
  write,
} from "../support/stores.ts";
import { turns } from "../support/turns.ts";

/** A store on a fake disk that goes by a clock that is set. */
async function begin(options: Partial<LogOptions> = {}, time = new FakeTime()) {
  const disk = new FakeDisk();
  const { clock, timer } = time;
  const store = await openOn(disk, { clock, timer, ...options });
  return { disk, store, time };
}

/** Keys with deadlines `ttl(at)` from now. */
async function putMany(store: Store, count: number, ttl: (at: number) => number): Promise<void> {
  const { txnOperationsMax } = store.limits;
  for (let from = 0; from < count; from += txnOperationsMax) {
    const size = Math.min(txnOperationsMax, count - from);
    await write(
      store,
      ...Array.from({ length: size }, (_, at) => putFor(nameOf(from + at), "v", ttl(from + at))),
    );
  }
}

describe("a key whose time has run out", () => {
  test("goes by the timer, when nobody looks", async () => {
    const { store, time } = await begin();
    const { revision } = await write(store, putFor("a", "v", 500), put("b", "v"));
    const next = changesBetween(store, revision + 1, revision + 1);
    time.now += 499;
    time.fire();
    await turns();
    expect((await store.status()).revision).toBe(revision);
    time.now += 1;
    time.fire();
    const [commit] = await next;
    expect(commit).toEqual({
      revision: revision + 1,
      events: [{ type: "expire", key: "a", revision: revision + 1 }],
    });
    expect((await store.status()).keys).toBe(1);
    await store.close();
  });

  test("keeps one timer set, never for longer than a clock may jump unseen, and none at the end", async () => {
    const time = new FakeTime();
    const waits: number[] = [];
    const timer: FakeTime["timer"] = (callback, ms) => {
      waits.push(ms);
      return time.timer(callback, ms);
    };
    const { store } = await begin({ timer, clock: time.clock }, time);
    expect(time.timers).toBe(0);
    await write(store, put("never"));
    await turns();
    expect(time.timers).toBe(0);
    await write(store, putFor("later", "v", 3_650 * 86_400_000));
    await write(store, putFor("soon", "v", 20));
    await write(store, putFor("sooner", "v", 10));
    await turns();
    expect(time.timers).toBe(1);
    expect(waits.every((ms) => ms >= 1 && ms <= EXPIRE_LOOK_MS_MAX)).toBe(true);
    expect(waits.at(-1)).toBe(10);
    await store.close();
    expect(time.timers).toBe(0);
    time.fire();
    await turns();
  });

  test("is met by a clock that jumps ahead, at the next look", async () => {
    const { store, time } = await begin();
    const { revision } = await write(store, putFor("a", "v", 86_400_000));
    time.now += 86_400_000;
    time.fire();
    expect(await changesBetween(store, revision + 1, revision + 1)).toHaveLength(1);
    await store.close();
  });

  test("stays gone when the clock goes back, and its next life has its own deadline", async () => {
    const { store, time } = await begin();
    const { revision } = await write(store, putFor("a", "1", 1_000), putFor("b", "1", 5_000));
    time.now += 2_000;
    expect(await textOf(store, "a")).toBeUndefined();
    time.now -= 10_000;
    time.fire();
    await turns();
    expect(await textOf(store, "a")).toBeUndefined();
    expect(await textOf(store, "b")).toBe("1");
    expect((await store.list({})).entries.map(({ key }) => key)).toEqual(["b"]);
    const again = await write(store, putFor("a", "2", 1_000));
    expect(again.results[0]).toMatchObject({ version: 1, expiresAt: time.now + 1_000 });
    // The first life's deadline is far ahead of this one's.
    time.now += 1_000;
    time.fire();
    const commits = await changesBetween(store, revision + 1, again.revision + 1);
    const types = commits.flatMap(({ events }) => events.map(({ type, key }) => [type, key]));
    expect(types).toEqual([
      ["expire", "a"],
      ["put", "a"],
      ["expire", "a"],
    ]);
    time.now += 20_000;
    expect(await textOf(store, "b")).toBeUndefined();
    await store.close();
  });

  test("does not go while the clock stands before its deadline, however it got there", async () => {
    const { store, time } = await begin();
    await write(store, putFor("a", "1", 1_000));
    for (const jump of [999, -5_000, 4_000, 500, -1]) {
      time.now += jump;
      time.fire();
      await turns();
      expect(await textOf(store, "a")).toBe("1");
    }
    time.now += 502;
    expect(await textOf(store, "a")).toBeUndefined();
    await store.close();
  });

  test("commit times never go back with the clock", async () => {
    const { store, time, disk } = await begin();
    await write(store, putFor("a", "1", 10));
    time.now += 100_000;
    expect(await textOf(store, "a")).toBeUndefined();
    time.now -= 200_000;
    await write(store, putFor("b", "1", 300_000));
    const again = await openOn(disk.kill(), { clock: time.clock, timer: time.timer });
    expect(await textOf(again, "b")).toBe("1");
    expect(await textOf(again, "a")).toBeUndefined();
    await again.close();
  });

  test("whose deadline was moved a great many times goes once, at the last one", async () => {
    const { store, time } = await begin();
    const { revision } = await write(store, putFor("a", "v", 60_000));
    const sent = Array.from({ length: 5_000 }, (_, at) =>
      write(store, touch("a", at % 2 === 0 ? 10_000 + at : 90_000 - at)),
    );
    await Promise.all(sent);
    const { expiresAt } = (await store.get("a")).entry as { expiresAt: number };
    time.now = expiresAt - 1;
    time.fire();
    await turns();
    expect(await textOf(store, "a")).toBe("v");
    time.now = expiresAt;
    time.fire();
    const last = revision + 5_001;
    const commits = await changesBetween(store, revision + 5_000, last);
    expect(commits.map(({ events }) => events[0]!.type)).toEqual(["put", "expire"]);
    time.now += 100_000;
    expect((await store.list({})).revision).toBe(last);
    await store.close();
  });
});

describe("a start", () => {
  test("has the deadlines of before, and goes on by them", async () => {
    const { store, disk, time } = await begin({ segmentBytesMax: 1_000 });
    await write(store, putFor("a", "1", 1_000), putFor("b", "1", 2_000), putFor("c", "1", 3_000));
    await write(store, touch("a", 5_000), touch("b", "none"), putFor("c", "2", "keep"));
    const before = await deadlines(store);
    expect(before).toEqual([
      ["a", time.now + 5_000],
      ["b", undefined],
      ["c", time.now + 3_000],
    ]);
    const { clock, timer } = time;
    const again = await openOn(disk.kill(), { clock, timer });
    expect(await deadlines(again)).toEqual(before);
    time.now += 3_000;
    time.fire();
    const [commit] = await changesBetween(again, 3, 3);
    expect(commit!.events).toEqual([{ type: "expire", key: "c", revision: 3 }]);
    await again.close();
  });

  test("lets everything expire that is overdue before anybody can look", async () => {
    const { store, disk, time } = await begin();
    const count = 2 * EXPIRE_EVENTS_MAX + 7;
    await putMany(store, count, (at) => 1_000 + (at % 5));
    const { revision } = await write(store, put("stays"), putFor("later", "v", 9_000));
    const killed = disk.kill();
    time.now += 5_000;
    const { clock, timer } = time;
    const again = await openOn(killed, { clock, timer });
    const status = await again.status();
    expect([status.keys, status.revision]).toEqual([2, revision + 3]);
    const commits = await changesBetween(again, revision + 1, status.revision);
    expectInOrder(commits, (at) => 1_000 + (at % 5));
    expect(commits.flatMap(({ events }) => events)).toHaveLength(count);
    await again.close();
    const third = await openOn(killed.kill(), { clock, timer });
    expect((await third.status()).revision).toBe(status.revision);
    await third.close();
  });

  test("by a clock that is behind keeps what is not due yet by it", async () => {
    const { store, disk, time } = await begin();
    await write(store, putFor("a", "1", 1_000), putFor("b", "1", 5_000));
    time.now += 2_000;
    expect(await textOf(store, "a")).toBeUndefined();
    const killed = disk.kill();
    time.now -= 60_000;
    const again = await openOn(killed, { clock: time.clock, timer: time.timer });
    expect(await textOf(again, "a")).toBeUndefined();
    expect(await textOf(again, "b")).toBe("1");
    time.now += 63_001;
    expect(await textOf(again, "b")).toBeUndefined();
    await again.close();
  });
});

describe("very many keys that fall due at once", () => {
  const COUNT = 60_000;

  test("go in bounded commits, the longest overdue first, while others are answered", async () => {
    const { store, time } = await begin();
    await putMany(store, COUNT, (at) => 1_000 + (at % 3));
    const { revision } = await write(store, put("here", "v"), put("n", "0"));
    time.now += 2_000;
    time.fire();
    let answered = 0;
    let mostLeft = 0;
    while ((await store.status()).keys > 2) {
      // Each of these is answered within the work, not behind all of it.
      expect(await textOf(store, "here")).toBe("v");
      await write(store, incr("n"));
      mostLeft = Math.max(mostLeft, (await store.status()).keys);
      answered++;
    }
    expect(answered).toBeGreaterThanOrEqual(COUNT / EXPIRE_EVENTS_MAX / 2);
    expect(mostLeft).toBeGreaterThan(COUNT / 2);
    expect(await textOf(store, "n")).toBe(String(answered));
    const commits = await changesBetween(store, revision + 1, (await store.status()).revision, {
      range: { prefix: "key/" },
    });
    expectInOrder(commits, (at) => 1_000 + (at % 3));
    expect(commits.flatMap(({ events }) => events)).toHaveLength(COUNT);
    await store.close();
  }, 30_000);

  test("are gone for whoever asks for one of them, long before its turn", async () => {
    const { store, time } = await begin();
    await putMany(store, COUNT, () => 1_000);
    time.now += 1_000;
    const last = nameOf(COUNT - 1);
    expect(await textOf(store, last)).toBeUndefined();
    const checked = [6, 7, 8].map((at) => nameOf(COUNT - at));
    const absent = await store.commit({
      checks: [
        { key: checked[0]!, revision: 0 },
        { key: checked[1]!, version: 0 },
        { key: checked[2]!, value: new TextEncoder().encode("v") },
      ],
      then: [],
    });
    expect(absent.failed).toEqual([2]);
    const other = nameOf(COUNT - 2);
    const { results } = await write(store, incr(other, 5n), del(nameOf(COUNT - 3)));
    expect(results).toMatchObject([
      { value: 5n, version: 1 },
      { op: "delete", deleted: 0 },
    ]);
    await failure(() => write(store, touch(nameOf(COUNT - 4), 5)), "not_found");
    const { entries } = await store.history(nameOf(COUNT - 5));
    expect(entries.map(({ type }) => type)).toEqual(["expire", "put"]);
    expect((await store.list({}, { count: true })).count).toBe(1);
    expect(await textOf(store, other)).toBe("5");
    await store.close();
  }, 30_000);

  test("are gone from every range, by one answer", async () => {
    const { store, time } = await begin();
    await putMany(store, COUNT, () => 1_000);
    await write(store, put("stays"));
    time.now += 1_000;
    const [page, count, deleted] = await Promise.all([
      store.list({}, { limit: 2, reverse: true }),
      store.list({ prefix: "key/" }, { count: true }),
      write(store, delRange({ prefix: "key/" })),
    ]);
    expect(page.entries.map(({ key }) => key)).toEqual(["stays"]);
    expect(page.more).toBe(false);
    expect(count.count).toBe(0);
    expect(deleted.results).toEqual([{ op: "deleteRange", deleted: 0, more: false }]);
    await store.close();
  }, 30_000);

  test("do not keep the store from closing, and are overdue at the next start", async () => {
    const { store, time, disk } = await begin();
    await putMany(store, COUNT, () => 1_000);
    time.now += 1_000;
    time.fire();
    await turns();
    await store.close();
    const again = await openOn(disk, { clock: time.clock, timer: time.timer });
    expect((await again.status()).keys).toBe(0);
    await again.close();
  }, 30_000);
});

describe("keys that fall due all the time", () => {
  test("do not keep a list from its answer", async () => {
    const { store } = await beginMoving();
    const { entries, revision } = await store.list({ start: "s" });
    expect(entries.map(({ key }) => key)).toEqual(["stays"]);
    const all = await store.list({}, { count: true });
    expect(all.count).toBeGreaterThan(0);
    expect(all.revision).toBeGreaterThanOrEqual(revision);
    await store.close();
  });

  test("do not keep a transaction with ranges from its answer", async () => {
    const { store } = await beginMoving();
    const { results } = await write(
      store,
      { op: "list", range: {}, count: true },
      delRange({ prefix: "key/" }),
      { op: "list", range: {}, count: true },
    );
    const { count = 0 } = results[0] as ListTxnResult;
    expect(count).toBeGreaterThan(1_000);
    expect(results.slice(1)).toMatchObject([{ deleted: count - 1, more: false }, { count: 1 }]);
    await store.close();
  });

  test("do not keep the store from closing", async () => {
    const { store } = await beginMoving();
    const under = Promise.allSettled([
      store.list({}, { count: true }),
      write(store, delRange({ prefix: "key/00" })),
    ]);
    await store.close();
    for (const outcome of await under) {
      if (outcome.status === "rejected") expect(outcome.reason.code).toBe("unavailable");
    }
    await failure(() => store.status(), "unavailable");
  });
});

// --- internal ---

/** Keys that fall due one after the other, by a clock that goes on whenever anybody looks at it. */
async function beginMoving() {
  const time = new FakeTime();
  let moves = false;
  const clock = (): number => (moves ? ++time.now : time.now);
  const { store } = await begin({ clock }, time);
  await putMany(store, 5_000, (at) => 10 + at);
  await write(store, put("stays", "v"));
  time.now += 1_000;
  moves = true;
  return { store, time };
}

async function deadlines(store: Store) {
  return (await store.list({})).entries.map(({ key, expiresAt }) => [key, expiresAt]);
}

function nameOf(at: number): string {
  return `key/${String(at).padStart(6, "0")}`;
}

/** Commits of expiries: none too large, ordered by deadline and then by key, no key twice. */
function expectInOrder(commits: readonly Commit[], ttl: (at: number) => number): void {
  for (const { events } of commits) {
    expect(events.length).toBeLessThanOrEqual(EXPIRE_EVENTS_MAX);
  }
  const events = commits.flatMap(({ events }) => events);
  expect(new Set(events.map(({ type }) => type))).toEqual(new Set(["expire"]));
  const keys = events.map(({ key }) => key);
  const deadlineOf = (key: string): number => ttl(Number(key.slice("key/".length)));
  const sorted = keys.toSorted((a, b) => deadlineOf(a) - deadlineOf(b) || compareKeys(a, b));
  expect(keys).toEqual(sorted);
  expect(new Set(keys).size).toBe(keys.length);
}
