/** Many operations at once come to the same as one by one, on every store. */

import { describe, expect, test } from "bun:test";
import { AnswerWriter, decodeAnswers } from "../../src/binary-answer.ts";
import { encodeRequest, RequestColumns, type FrameOperation } from "../../src/binary-request.ts";
import { KvError } from "../../src/errors.ts";
import { manyOneByOne, runMany } from "../../src/http/many-one-by-one.ts";
import type { Store } from "../../src/kv.ts";
import type { LogStore } from "../../src/log/engine.ts";
import { LIMITS, TTL_MS_MAX } from "../../src/limits.ts";
import { MANY } from "../../src/many.ts";
import { FakeTime } from "../support/fake-time.ts";
import { deleteFrame, getFrame, putFrame, shown } from "../support/frames.ts";
import { openModel } from "../support/model-store.ts";
import { randomSeed, withSeed, type Random } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";
import { changesBetween } from "../support/stores.ts";
import { temporaryLog } from "../support/temporary-log.ts";

type Run = typeof runMany;

/** The answers as a client reads them. */
async function answersOf(store: Store, run: Run, operations: readonly FrameOperation[]) {
  const columns = new RequestColumns();
  columns.decode(encodeRequest(1, operations));
  const writer = new AnswerWriter((error) => {
    throw error;
  });
  writer.begin(1);
  await run(store, columns, writer);
  const { answers } = decodeAnswers(writer.end());
  if (answers instanceof KvError) throw answers;
  return answers;
}

test("the log answers many at once as it answers them one by one", () =>
  withSeed(randomSeed(), async (random) => {
    const time = new FakeTime();
    const { clock, timer } = time;
    await using together = await temporaryLog({ clock, timer });
    await using single = await temporaryLog({ clock, timer });
    for (let round = 0; round < rounds(150); round++) {
      if (random.oneIn(3)) {
        // What the loops of the logs still do must not see the new time.
        for (const { store } of [together, single]) await settled(store);
        time.now += random.below(100);
      }
      // Long rows of gets are found in several pieces, which anything else ends.
      const length = random.below(random.oneIn(10) ? 600 : 12);
      const isRow = random.oneIn(2);
      const operations = Array.from({ length }, () => {
        const operation = anyOperation(random);
        return isRow && !random.oneIn(100) ? { kind: MANY.get, key: operation.key } : operation;
      });
      const expected = await answersOf(single.store, manyOneByOne, operations);
      const answers = await answersOf(together.store, runMany, operations);
      expect({ operations, answers: plain(answers) }).toEqual({
        operations,
        answers: plain(expected),
      });
    }
    const { revision } = await single.store.status();
    expect((await together.store.status()).revision).toBe(revision);
    const changes = await changesBetween(single.store, 1, revision);
    expect(await changesBetween(together.store, 1, revision)).toEqual(changes);
  }));

test("frames that are handed over at the same time keep their order", async () => {
  for (const run of [manyOneByOne, runMany]) {
    await using log = await temporaryLog();
    const frames = Array.from({ length: 20 }, (_, at) => [
      putFrame("a", `${at}`),
      putFrame("b", `${at}`),
      deleteFrame("a"),
    ]);
    const answers = await Promise.all(frames.map((frame) => answersOf(log.store, run, frame)));
    const expected = frames.map((_, at) => [
      `put ${3 * at + 1}`,
      `put ${3 * at + 2}`,
      `deleted ${3 * at + 3}`,
    ]);
    expect(answers.map(shown)).toEqual(expected);
  }
});

test("a value that was put does not keep the frame that it came in", async () => {
  await using log = await temporaryLog();
  const model = openModel();
  const kept: Uint8Array[] = [];
  const { commit } = model;
  model.commit = (txn) => {
    for (const operation of txn.then) if (operation.op === "put") kept.push(operation.value);
    return commit.call(model, txn);
  };
  const value = new Uint8Array(1_000).fill(7);
  for (const [store, run] of [
    [log.store, runMany],
    [log.store, manyOneByOne],
    [model, manyOneByOne],
  ] as const) {
    const bytes = encodeRequest(1, [putFrame("a", value), putFrame("b", value)]);
    const columns = new RequestColumns();
    columns.decode(bytes);
    const writer = new AnswerWriter(() => {});
    writer.begin(1);
    await run(store, columns, writer);
    bytes.fill(0);
    const { entry } = await store.get("b");
    expect(entry!.value).toEqual(value);
    expect(entry!.value.buffer).not.toBe(bytes.buffer);
  }
  // Nor does a store that keeps what it is given.
  expect(kept).toEqual([value, value]);
});

describe("one by one", () => {
  test("nothing is read of a get that is left out", async () => {
    const store = openModel();
    const asked: string[] = [];
    const get = store.get.bind(store);
    store.get = (key) => {
      asked.push(key);
      return get(key);
    };
    const value = new Uint8Array(3 * 1024 * 1024);
    await answersOf(store, manyOneByOne, [putFrame("a", value), putFrame("b", value)]);
    const gets = ["a", "b", "c", "a"].map((key) => getFrame(key));
    const answers = await answersOf(store, manyOneByOne, gets);
    expect(answers.map(({ status }) => status)).toEqual([0, 0, 4, 4]);
    expect(asked).toEqual(["a", "b"]);
  });

  test("a get that takes its time is waited for", async () => {
    const model = openModel();
    const order: string[] = [];
    const store: Store = Object.create(model, {
      get: {
        value: async (key: string) => {
          order.push(`get ${key}`);
          await Bun.sleep(1);
          order.push(`got ${key}`);
          return model.get(key);
        },
      },
      commit: {
        value: (txn: Parameters<Store["commit"]>[0]) => {
          order.push("commit");
          return model.commit(txn);
        },
      },
    }) as Store;
    const frame = [
      getFrame("a"),
      putFrame("a", "1"),
      putFrame("b", "2"),
      getFrame("a"),
      getFrame("b"),
    ];
    expect(shown(await answersOf(store, manyOneByOne, frame))).toEqual([
      "absent 0",
      "put 1",
      "put 2",
      "found 1",
      "found 2",
    ]);
    const reads = ["get a", "got a", "get b", "got b"];
    expect(order).toEqual(["get a", "got a", "commit", "commit", ...reads]);
  });
});

/** Resolves when nothing is on its way in a log; what is due now has expired then. */
async function settled(store: Store): Promise<void> {
  await (store as LogStore).expireOverdue();
}

function anyOperation(random: Random): FrameOperation {
  const key = random.pick(["a", "b", "b", "c", "ä", "key:0000000001"]);
  const bad = random.pick(["", "x/../y", ".", "x".repeat(LIMITS.keyBytesMax + 1)]);
  const chosen = random.oneIn(12) ? bad : key;
  if (random.oneIn(25)) return { kind: MANY.get, key: new Uint8Array([0x61, 0xff]) };
  if (random.oneIn(2)) return getFrame(chosen);
  if (random.oneIn(3)) return deleteFrame(chosen);
  const ttl = random.pick([0, 0, 50, 150, TTL_MS_MAX, TTL_MS_MAX + 1, 2 ** 60]);
  const contentType = random.pick([undefined, "text/css", "application/json", "\t", "x y", ""]);
  const value = random.pick(["", "one", "x".repeat(random.below(5_000))]);
  return putFrame(chosen, value, {
    ttl,
    ...(contentType === undefined ? undefined : { contentType }),
  });
}

function plain(answers: Awaited<ReturnType<typeof answersOf>>) {
  return answers.map(({ error, value, ...rest }) => {
    const failure = error === undefined ? undefined : [error.code, error.message, error.details];
    return Object.assign(rest, { failure, value: Buffer.from(value).toString("latin1") });
  });
}
