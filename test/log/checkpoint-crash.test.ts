/** Nothing that happens while a checkpoint is made costs more than that checkpoint. */

import { describe, expect, test } from "bun:test";
import { openLog, type LogStore } from "../../src/log/engine.ts";
import { KIND } from "../../src/log/format.ts";
import {
  CHECKPOINT,
  EAGER,
  expectSameStart,
  maintained,
  withCheckpoint,
} from "../support/checkpoints.ts";
import { type Call, FakeDisk } from "../support/fake-disk.ts";
import { recordsOf, segmentNames } from "../support/logs.ts";
import { random, randomSeed } from "../support/random.ts";
import { del, put } from "../support/stores.ts";
import { turns } from "../support/turns.ts";

const TEMPORARY = `${CHECKPOINT}.tmp`;

/** A timer that never fires: everything is asked for. */
const never = (): (() => void) => () => undefined;

/** A store with a checkpoint, for which the next one is due once its timers fire. */
async function ready(): Promise<{ disk: FakeDisk; store: LogStore; notices: string[] }> {
  const disk = new FakeDisk();
  const notices: string[] = [];
  const onNotice = (message: string): void => void notices.push(message);
  const onFatal = (): void => void notices.push("fatal");
  const options = { directory: "", disk, ...EAGER, segmentBytesMax: 100_000, timer: never };
  const store = await openLog({ ...options, onNotice, onFatal });
  for (let at = 0; at < 40; at++) await store.commit({ checks: [], then: [put(`k${at}`, "v")] });
  await maintained(store);
  // Its name is durable some time later: here at once, so that there is always one to go back to.
  await disk.syncDirectory();
  for (let at = 0; at < 40; at++) await store.commit({ checks: [], then: [put(`n${at}`, "v")] });
  return { disk, store, notices };
}

/** The calls that making a checkpoint takes, beginning with the file that it makes. */
async function callsOfOne(): Promise<Call[]> {
  const { disk, store } = await ready();
  const calls: Call[] = [];
  disk.fault = (call) => void calls.push(call);
  await maintained(store);
  disk.fault = undefined;
  await store.close();
  expect(calls[0]).toEqual({ kind: "create", name: TEMPORARY });
  expect(calls.at(-1)).toEqual({ kind: "rename", name: TEMPORARY });
  return calls;
}

describe("while a checkpoint is made,", () => {
  test("a crash at any call leaves the log, and the checkpoint before or this one", async () => {
    const calls = await callsOfOne();
    const seed = randomSeed();
    for (let at = 0; at <= calls.length; at++) {
      for (const power of [false, true]) {
        const { disk, store } = await ready();
        let died: FakeDisk | undefined;
        let left = at;
        const die = (): void => void (died = power ? disk.powerCut(random(seed)) : disk.kill());
        disk.fault = () => void (left-- === 0 && die());
        await maintained(store);
        if (died === undefined) die();
        const start = await expectSameStart(died!);
        expect([seed, start.resumed, start.error]).toEqual([seed, true, undefined]);
        expect(start.state!.revision).toBe(80);
        // What was half made is removed at the next start.
        const again = await openLog({ directory: "", disk: died!, checkpointBytesMin: 1e9 });
        expect(died!.list()).not.toContain(TEMPORARY);
        await again.close();
      }
    }
  });

  test("a call for its own file that fails leaves the checkpoint before, and writes go on", async () => {
    const calls = await callsOfOne();
    for (const code of ["ENOSPC", "EIO"]) {
      for (const at of calls.keys()) {
        if (calls[at]!.name !== TEMPORARY) continue;
        const { disk, store, notices } = await ready();
        const before = disk.bytes(CHECKPOINT).slice();
        let left = at;
        disk.fault = () => (left-- === 0 ? code : undefined);
        await maintained(store);
        disk.fault = undefined;
        expect(notices.join()).toMatch(/^making a checkpoint failed, .*tried again: /);
        expect(disk.bytes(CHECKPOINT)).toEqual(before);
        expect(disk.list()).not.toContain(TEMPORARY);
        await store.commit({ checks: [], then: [put("after", "1")] });
        // The stop makes one more attempt.
        await store.close();
        expect(disk.bytes(CHECKPOINT)).not.toEqual(before);
        expect(disk.openFiles).toBe(0);
        expect((await expectSameStart(disk)).resumed).toBe(true);
      }
    }
  });

  test("what is left of an attempt is out of the way of the next one", async () => {
    const { disk, store, notices } = await ready();
    // Neither can the file be written, nor can it be removed.
    disk.fault = ({ kind, name }) =>
      name === TEMPORARY && (kind === "write" || kind === "unlink") ? "EIO" : undefined;
    await maintained(store);
    disk.fault = undefined;
    expect(disk.list()).toContain(TEMPORARY);
    expect(notices).toHaveLength(1);
    await store.close();
    expect(disk.list()).not.toContain(TEMPORARY);
    expect((await expectSameStart(disk)).notices).toEqual([]);
  });

  test("a stop in the middle makes a whole one of what there is then", async () => {
    const { disk, store } = await ready();
    disk.fault = ({ kind, name }) => {
      // The stop comes while the file is synced.
      if (kind === "sync" && name === TEMPORARY) void store.close();
      return undefined;
    };
    await maintained(store);
    await store.close();
    expect(disk.list()).not.toContain(TEMPORARY);
    expect(disk.openFiles).toBe(0);
    expect((await expectSameStart(disk)).resumed).toBe(true);
  });

  test("puts, deletes, new keys and compactions belong to what comes after it", async () => {
    const { disk, store } = await ready();
    let written = 0;
    const work: Promise<unknown>[] = [];
    // Each call of the checkpoint meets something new.
    disk.fault = ({ kind, name }) => {
      // Not for ever: what is written meanwhile is work for the next one.
      if (name !== TEMPORARY || kind === "rename" || written === 40) return undefined;
      const at = written++;
      const then = [put(`a${at}`, "new"), put(`k${at}`, "changed"), del(`n${at}`)];
      work.push(store.commit({ checks: [], then }));
      if (at % 3 === 2) work.push(store.compact(store.status().revision));
      return undefined;
    };
    await maintained(store);
    await Promise.all(work);
    disk.fault = undefined;
    await turns();
    expect(written).toBeGreaterThan(4);
    const died = disk.kill();
    const start = await expectSameStart(died);
    expect(start.resumed).toBe(true);
    expect(start.state!.keys.map(({ key }) => key)).toContain("a0");
  });
});

test("deletions that a checkpoint had to keep are forgotten after it", async () => {
  const { disk, store } = await ready();
  for (let at = 0; at < 40; at++) await store.commit({ checks: [], then: [del(`k${at}`)] });
  let compacted: Promise<unknown> | undefined;
  disk.fault = ({ kind, name }) => {
    if (kind === "write" && name === TEMPORARY) compacted ??= store.compact(120);
    return undefined;
  };
  await maintained(store);
  await compacted!;
  await turns();
  await store.commit({ checks: [], then: [put("k0", "new")] });
  const newest = recordsOf(disk, segmentNames(disk).at(-1)!).findLast(
    ({ kind }) => kind === KIND.put,
  );
  expect(newest!.previousRevision).toBe(0);
  await store.close();
  const start = await expectSameStart(disk);
  expect(start.state!.keys.map(({ key }) => key)).toHaveLength(41);
});

test("a full disk has no room for a checkpoint, and gets one when there is room again", async () => {
  const { disk, store, notices } = await ready();
  const before = disk.bytes(CHECKPOINT).slice();
  disk.capacityBytes = disk.list().reduce((sum, name) => sum + disk.bytes(name).length, 0) + 2_000;
  await maintained(store);
  expect(disk.bytes(CHECKPOINT)).toEqual(before);
  expect(notices).toEqual([]);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  await maintained(store);
  expect(disk.bytes(CHECKPOINT)).not.toEqual(before);
  await store.close();
});

test("a checkpoint is never of more than what is synced", async () => {
  const seed = randomSeed();
  for (let round = 0; round < 30; round++) {
    const disk = new FakeDisk();
    const store = await openLog({
      directory: "",
      disk,
      ...EAGER,
      durability: { mode: "os" },
      timer: never,
    });
    for (let at = 0; at < 30; at++) await store.commit({ checks: [], then: [put(`k${at}`, "v")] });
    await maintained(store);
    expect(disk.list()).toContain(CHECKPOINT);
    const checkpoint = disk.bytes(CHECKPOINT).slice();
    const died = withCheckpoint(disk.powerCut(random(seed + round)), checkpoint);
    expect([seed, (await expectSameStart(died)).resumed]).toEqual([seed, true]);
  }
});
