/** Many operations at once at their edges: large values, bad keys, full answers, a queue without room. */

import { describe, expect, test } from "bun:test";
import { AnswerWriter } from "../../src/binary-answer.ts";
import { encodeRequest, RequestColumns } from "../../src/binary-request.ts";
import type { KvError } from "../../src/errors.ts";
import {
  BATCH_BYTES_MAX,
  EXPIRE_EVENTS_MAX,
  LIMITS,
  MANY_OPERATIONS_A_BATCH,
  QUEUE_BYTES_MAX,
} from "../../src/limits.ts";
import { MANY } from "../../src/many.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { deleteFrame, getFrame, many, putFrame } from "../support/frames.ts";
import { leave, openFilling } from "../support/full-disk.ts";
import { openOn } from "../support/logs.ts";
import { del, failure, put, textOf, write } from "../support/stores.ts";

const MIB = 1024 * 1024;
const LARGE = "x".repeat(MIB);

/** A disk that counts the reads of segments and the syncs. */
function counted(): { disk: FakeDisk; counts: { reads: number; syncs: number } } {
  const disk = new FakeDisk();
  const counts = { reads: 0, syncs: 0 };
  disk.fault = ({ kind }) => {
    if (kind === "sync") counts.syncs++;
    return undefined;
  };
  disk.lookFault = ({ kind, name }) => {
    if (kind === "read" && name.endsWith(".log")) counts.reads++;
    return undefined;
  };
  return { disk, counts };
}

/** The answers, each with how often it comes in a row; values are shown by their beginning. */
function rows(answers: readonly string[]): string[] {
  const all: [string, number][] = [];
  for (const answer of answers) {
    const short = answer.slice(0, 12);
    if (all.at(-1)?.[0] === short) all.at(-1)![1]++;
    else all.push([short, 1]);
  }
  return all.map(([answer, count]) => `${count} ${answer}`);
}

describe("where the answers are full", () => {
  test("gets are not read any more, whether they come at once or behind a put", async () => {
    const { disk, counts } = counted();
    const store = await openOn(disk, { valueCacheBytesMax: 0 });
    await write(store, put("large", LARGE));
    const gets = Array.from({ length: 10 }, () => getFrame("large"));
    counts.reads = 0;
    // The answer that passes the bound is given.
    expect(rows(await many(store, gets))).toEqual(["4 found xxxxxx", "6 unread"]);
    expect(counts.reads).toBe(4);
    expect(rows(await many(store, [putFrame("a", "1"), ...gets]))).toEqual([
      "1 put 2",
      "4 found xxxxxx",
      "6 unread",
    ]);
    await store.close();
  });

  test("writes are done all the same", async () => {
    const store = await openOn(new FakeDisk());
    await write(store, put("large", LARGE), put("a", "1"));
    const gets = Array.from({ length: 5 }, () => getFrame("large"));
    const frame = [...gets, putFrame("a", "2"), getFrame("a"), deleteFrame("a"), getFrame("a")];
    expect(rows(await many(store, frame))).toEqual([
      "4 found xxxxxx",
      "1 unread",
      "1 put 2",
      "1 unread",
      "1 deleted 3",
      "1 unread",
    ]);
    expect(await textOf(store, "a")).toBeUndefined();
    await store.close();
  });

  test("a later batch reads nothing, and holds no values", async () => {
    const { disk, counts } = counted();
    const store = await openOn(disk, { valueCacheBytesMax: 0 });
    await write(store, put("large", LARGE));
    const gets = Array.from({ length: 60 }, () => getFrame("large"));
    counts.reads = 0;
    const answers = await many(store, [putFrame("a", "1"), ...gets, putFrame("b", "2")]);
    expect(rows(answers)).toEqual(["1 put 2", "4 found xxxxxx", "56 unread", "1 put 3"]);
    // What the first batch may hold in memory, and the one that passes it.
    expect(counts.reads).toBeLessThanOrEqual(BATCH_BYTES_MAX / MIB + 1);
    await store.close();
  });
});

test("large values go in as many batches as their bytes need, each of them once", async () => {
  const { disk, counts } = counted();
  const store = await openOn(disk);
  const names = Array.from({ length: 36 }, (_, at) => `k${at}`);
  counts.syncs = 0;
  const answers = await many(
    store,
    names.map((name) => putFrame(name, name.padEnd(MIB, "-"))),
  );
  expect(answers).toEqual(names.map((_, at) => `put ${at + 1}`));
  expect(counts.syncs).toBe(2);
  for (const name of names) expect(await textOf(store, name)).toBe(name.padEnd(MIB, "-"));
  await store.close();
});

describe("a key", () => {
  test("of any text is the same key in a frame and outside of it", async () => {
    const store = await openOn(new FakeDisk());
    for (const key of ["é", "a.b", "\u{1F600}/x", "ключ", "x".repeat(LIMITS.keyBytesMax)]) {
      expect(await many(store, [getFrame(key)])).toEqual([
        `absent ${(await store.status()).revision}`,
      ]);
      await many(store, [putFrame(key, key)]);
      expect(await textOf(store, key)).toBe(key);
      expect(await many(store, [getFrame(key)])).toEqual([`found ${key}`]);
    }
    await store.close();
  });

  test("that is none fails its operation as it fails a single one, and no other", async () => {
    const store = await openOn(new FakeDisk());
    await write(store, put("a", "1"));
    for (const key of ["", "..", "a/./b", "x".repeat(LIMITS.keyBytesMax + 1), "é".repeat(600)]) {
      const { code } = await failure(() => store.get(key), "invalid_argument", "too_large");
      for (const bad of [getFrame(key), putFrame(key, "1"), deleteFrame(key)]) {
        const { revision } = await store.status();
        expect(await many(store, [bad, getFrame("a"), bad, putFrame("a", "1"), bad])).toEqual([
          `failed ${code}`,
          "found 1",
          `failed ${code}`,
          `put ${revision + 1}`,
          `failed ${code}`,
        ]);
      }
    }
    await store.close();
  });

  test("that is no UTF-8 is none", async () => {
    const store = await openOn(new FakeDisk());
    const key = Uint8Array.of(0x61, 0xff);
    const frame = [{ kind: MANY.get, key }, putFrame("a", "1"), { kind: MANY.get, key }];
    const bad = "failed invalid_argument";
    expect(await many(store, frame)).toEqual([bad, "put 1", bad]);
    await store.close();
  });

  test("that was deleted is absent, also before a compaction forgets it", async () => {
    const store = await openOn(new FakeDisk());
    await write(store, put("a", "1"));
    await write(store, del("a"));
    expect(await many(store, [getFrame("a")])).toEqual(["absent 2"]);
    await store.compact(2);
    expect(await many(store, [getFrame("a")])).toEqual(["absent 2"]);
    await store.close();
  });
});

test("a record that is damaged fails the gets of its key, and no other operation", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk, { valueCacheBytesMax: 0 });
  await write(store, put("bad", "value of bad"));
  await write(store, put("good", "1"));
  const bytes = disk.bytes("0000000001.log");
  bytes[Buffer.from(bytes).indexOf("value of bad")]! ^= 1;
  const faults: KvError[] = [];
  const note = (error: KvError): void => void faults.push(error);
  const frame = [getFrame("bad"), getFrame("good"), putFrame("good", "2"), getFrame("bad")];
  const failed = "failed internal";
  expect(await many(store, frame, note)).toEqual([failed, "found 1", "put 3", failed]);
  expect(faults.map(({ message }) => message.slice(0, 31))).toEqual([
    "0000000001.log is damaged at of",
    "0000000001.log is damaged at of",
  ]);
  await store.close();
});

test("more keys than expire in one commit are all expired where they are met", async () => {
  const time = new FakeTime();
  const store = await openOn(new FakeDisk(), { clock: time.clock, timer: time.timer });
  const names = Array.from({ length: EXPIRE_EVENTS_MAX + 10 }, (_, at) => `k${at}`);
  await many(
    store,
    names.map((name, at) => putFrame(name, "1", { ttl: 10 + at })),
  );
  const { revision } = await store.status();
  time.now += 100_000;
  const last = names.at(-1)!;
  // Those that are due first go at the head of the batch; these each by a commit of their own.
  const frame = [putFrame("other", "1"), getFrame(last), putFrame(names.at(-2)!, "2")];
  expect(await many(store, frame)).toEqual([
    `put ${revision + 2}`,
    `absent ${revision + 3}`,
    `put ${revision + 5}`,
  ]);
  const { entry } = await store.get(names.at(-2)!);
  expect(entry).toMatchObject({ version: 1, createRevision: revision + 5 });
  await store.close();
});

test("a batch that has to wait for room is done once, and what follows it after that", async () => {
  const { disk, store } = await openFilling();
  await write(store, put("a", "1"), put("b", "2"));
  leave(disk, 300);
  const puts = Array.from({ length: MANY_OPERATIONS_A_BATCH }, (_, at) => putFrame(`k${at}`, "1"));
  // The reserve has room for deletes, not for puts.
  const answers = await many(store, [deleteFrame("a"), ...puts, deleteFrame("b"), getFrame("a")]);
  expect(rows(answers)).toEqual([
    "1 deleted 2",
    `${puts.length} failed stora`,
    "1 deleted 3",
    "1 absent 3",
  ]);
  expect(await store.status()).toMatchObject({ keys: 0, revision: 3 });
  await store.close();
});

test("a queue that holds as many bytes as it may takes nothing more until it is shorter", async () => {
  const store = await openOn(new FakeDisk());
  const columns = new RequestColumns();
  columns.decode(encodeRequest(1, [putFrame("held", "1")]));
  await write(store, put("first"));
  // Of most of these bytes nothing is used: that they are there counts.
  const bytes = new Uint8Array(QUEUE_BYTES_MAX + 1);
  bytes.set(columns.bytes);
  const { count, kinds, keyStarts, keyEnds, valueStarts, valueEnds, contentTypes, ttls } = columns;
  const rest = { count, kinds, keyStarts, keyEnds, valueStarts, valueEnds, contentTypes, ttls };
  const writer = new AnswerWriter(() => undefined);
  writer.begin(1);
  const held = store.many!({ ...rest, bytes }, writer);
  const calls = [
    () => write(store, put("a", "1")),
    () => store.compact(1),
    () => many(store, [putFrame("a", "1")]),
  ];
  const refused = await Promise.all(calls.map((call) => failure(call, "unavailable")));
  for (const { message } of refused) {
    expect(message).toContain("too many writes are waiting for the disk");
  }
  await held;
  expect(await many(store, [putFrame("a", "1"), getFrame("held")])).toEqual(["put 3", "found 1"]);
  await store.close();
});
