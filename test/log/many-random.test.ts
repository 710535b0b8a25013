/**
 * Frames of random operations, many at once, are what a plain map says: on disks that fill up,
 * while the log is merged and compacted, time passes, and the store is opened anew.
 */

import { expect, test } from "bun:test";
import { FULL_DISK_LOOK_MS } from "../../src/limits.ts";
import { openLog, type LogStore } from "../../src/log/engine.ts";
import type { FrameOperation } from "../../src/binary-request.ts";
import type { KvError } from "../../src/errors.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { deleteFrame, getFrame, many, putFrame } from "../support/frames.ts";
import { used } from "../support/full-disk.ts";
import { randomSeed, withSeed, type Random } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { textOf } from "../support/stores.ts";

/** What there is of a key; the deadline is 0 where it has none. */
type Model = Map<string, { readonly value: string; readonly deadline: number }>;

interface Planned {
  readonly kind: "get" | "put" | "delete";
  readonly key: string;
  readonly value: string;
  readonly ttl: number;
}

test(
  "frames answer and leave what a plain map would, or refuse for want of room",
  async () => {
    const first = randomSeed();
    const sum = { done: 0, refused: 0 };
    for (let seed = first; seed < first + rounds(30); seed++) {
      await withSeed(seed, async (random) => {
        const { done, refused } = await run(random);
        sum.done += done;
        sum.refused += refused;
      });
    }
    if (process.env["KV_TEST_SEED"] !== undefined) return;
    expect([sum.done > 1_000, sum.refused > 100]).toEqual([true, true]);
  },
  RANDOM_MS_MAX,
);

// --- internal ---

async function run(random: Random): Promise<{ done: number; refused: number }> {
  let disk = new FakeDisk();
  const time = new FakeTime();
  const options = {
    clock: time.clock,
    timer: time.timer,
    segmentBytesMax: random.pick([1_000, 5_000, 40_000]),
    mergeBytesMin: random.pick([1, 1_000]),
    checkpointBytesMin: random.pick([1, 2_000, Infinity]),
    valueCacheBytesMax: random.pick([0, 2_000, 100_000]),
    reserveBytes: random.pick([0, 4_096]),
  };
  const open = async (): Promise<LogStore> => {
    const on = { directory: disk.directory, disk, onFatal: () => undefined };
    const store = await openLog({ ...on, ...options });
    // Its reserve is made at the second look.
    await store.maintained();
    time.now += FULL_DISK_LOOK_MS;
    time.fire();
    await store.maintained();
    return store;
  };
  let store = await open();
  const model: Model = new Map();
  const counts = { done: 0, refused: 0 };
  const keys = random.pick([3, 20, 200]);
  for (let wave = 0; wave < 20; wave++) {
    if (random.oneIn(2)) {
      const room = random.pick([50, 500, 5_000]);
      disk.capacityBytes = random.oneIn(2) ? Infinity : used(disk) + random.below(room);
    }
    if (random.oneIn(4)) store.beginUpkeep();
    const frames = Array.from({ length: 1 + random.below(8) }, () => planned(random, keys));
    const sent = await Promise.all(frames.map((frame) => many(store, frame.map(operationOf))));
    for (const [at, answers] of sent.entries()) {
      const refused = answers.filter((answer) => answer === "failed storage_full").length;
      counts.refused += refused;
      counts.done += answers.length - refused;
      const right = frames[at]!.map((one, row) => expected(model, one, answers[row]!, time.now));
      expect(answers.map(withoutRevision)).toEqual(right);
    }
    await compare(store, model, time.now);
    const end = random.below(12);
    if (end === 0) await store.maintained();
    else if (end === 1) await store.close();
    else if (end < 5) time.now += random.below(60);
    else if (end === 5) time.fire();
    else if (end < 8) await compact(store, random);
    if (end !== 1 && end !== 8) continue;
    disk.capacityBytes = Infinity;
    if (end === 8) disk = disk.kill();
    store = await open();
  }
  disk.capacityBytes = Infinity;
  await store.close();
  return counts;
}

/** A frame begins with a write: gets before the first one are answered ahead of other frames. */
function planned(random: Random, keys: number): Planned[] {
  return Array.from({ length: 1 + random.below(random.pick([4, 60])) }, (_, at) => ({
    kind: at === 0 ? "put" : random.pick(["get", "put", "delete"]),
    key: `k${random.below(keys)}`,
    value: `${random.next()}`.padEnd(random.below(random.pick([20, 60, 900])), "."),
    ttl: random.oneIn(5) ? 1 + random.below(40) : 0,
  }));
}

function operationOf({ kind, key, value, ttl }: Planned): FrameOperation {
  if (kind === "get") return getFrame(key);
  return kind === "delete" ? deleteFrame(key) : putFrame(key, value, { ttl });
}

/** The right answer, which takes its effect on the model; a refusal is right, and takes none. */
function expected(
  model: Model,
  { kind, key, value, ttl }: Planned,
  answer: string,
  now: number,
): string {
  if (answer === "failed storage_full") return answer;
  const there = alive(model, key, now);
  if (kind === "get") return there === undefined ? "absent" : `found ${there.value}`;
  if (kind === "put") model.set(key, { value, deadline: ttl === 0 ? 0 : now + ttl });
  else model.delete(key);
  if (kind === "put") return "put";
  return there === undefined ? "absent" : "deleted";
}

function alive(model: Model, key: string, now: number) {
  const there = model.get(key);
  if (there === undefined || there.deadline === 0 || there.deadline > now) return there;
  model.delete(key);
  return undefined;
}

function withoutRevision(answer: string): string {
  return answer.replace(/^(absent|put|deleted) \d+$/, "$1");
}

/** Holds all keys against the model, unless some are overdue for which there is no room to expire. */
async function compare(store: LogStore, model: Model, now: number): Promise<void> {
  const isOverdue = [...model.values()].some(({ deadline }) => deadline !== 0 && deadline <= now);
  try {
    const { entries } = await store.list({}, { limit: 10_000 });
    for (const key of model.keys()) alive(model, key, now);
    const right = [...model].map(([key, { value }]) => [key, value]).toSorted();
    expect(entries.map(({ key, value }) => [key, new TextDecoder().decode(value)])).toEqual(
      right as [string, string][],
    );
    for (const key of model.keys()) expect(await textOf(store, key)).toBe(model.get(key)!.value);
  } catch (error) {
    if ((error as KvError).code !== "storage_full" || !isOverdue) throw error;
  }
}

async function compact(store: LogStore, random: Random): Promise<void> {
  const { oldest, revision } = store.status();
  try {
    await store.compact(oldest + random.below(revision - oldest + 1));
  } catch (error) {
    if (!["storage_full", "compacted"].includes((error as KvError).code)) throw error;
  }
}
