/** A process that may open no more files: what goes on, what is refused, and that nothing is lost. */

import { expect, test } from "bun:test";
import type { KvError } from "../../src/errors.ts";
import { FakeDisk, type Call, type Look } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { openOn, segmentNames } from "../support/logs.ts";
import { dump, failure, put, putFor, textOf, write } from "../support/stores.ts";

const SEGMENT_BYTES = 1_000;
const VALUE = "x".repeat(400);

/** A store whose next large write begins a segment. */
async function begin(options: { mergeBytesMin?: number } = {}) {
  const time = new FakeTime();
  const disk = new FakeDisk();
  const fatal: KvError[] = [];
  const store = await openOn(disk, {
    ...options,
    segmentBytesMax: SEGMENT_BYTES,
    clock: time.clock,
    timer: time.timer,
    onFatal: (error) => fatal.push(error),
  });
  await write(store, put("before", VALUE));
  expect(segmentNames(disk)).toHaveLength(1);
  return { disk, store, fatal, time };
}

/** No file can be opened, and none be listed, which opens the directory. */
function openNothing(disk: FakeDisk, code: string): void {
  disk.fault = (call) => (opens(call) ? code : undefined);
  disk.lookFault = (look) => (opens(look) ? code : undefined);
}

function openAgain(disk: FakeDisk): void {
  disk.fault = undefined;
  disk.lookFault = undefined;
}

test.each(["EMFILE", "ENFILE"])(
  "%s where a segment is to be begun refuses the write, and the store goes on",
  async (code) => {
    const { disk, store, fatal } = await begin();
    const before = await dump(store, 0);
    openNothing(disk, code);
    const error = await failure(() => write(store, put("a", VALUE)), "unavailable");
    expect(error.message).toContain("too many open files, nothing was changed");
    expect(error.message).toContain("ulimit -n");
    expect(error.message).toContain(code);
    // What fits into the segment that there is needs no file.
    await write(store, put("small", "1"));
    expect(await textOf(store, "before")).toBe(VALUE);
    expect(await textOf(store, "a")).toBeUndefined();

    openAgain(disk);
    const { revision } = await write(store, put("a", VALUE));
    expect(revision).toBe(before.status.revision + 2);
    expect([fatal.length, segmentNames(disk).length]).toEqual([0, 2]);
    const after = await dump(store, 0);
    const again = await openOn(disk.kill());
    expect(await dump(again, 0)).toEqual(after);
    await again.close();
  },
);

test("a compaction that needs a segment is refused for open files, and can be had later", async () => {
  const { disk, store, fatal } = await begin({ mergeBytesMin: 1 });
  openNothing(disk, "EMFILE");
  await failure(() => store.compact(1), "unavailable");
  expect((await store.status()).oldest).toBe(0);
  openAgain(disk);
  expect(await store.compact(1)).toEqual({ oldest: 1 });
  expect(fatal).toEqual([]);
  await store.close();
});

test("those of a batch that was refused for open files are answered each for itself", async () => {
  const { disk, store } = await begin();
  openNothing(disk, "EMFILE");
  const outcomes = await Promise.allSettled([
    write(store, put("a", VALUE)),
    store.commit({ checks: [{ key: "a", revision: 0 }], then: [{ op: "get", key: "before" }] }),
    write(store, put("b", VALUE)),
  ]);
  const codes = outcomes.map((outcome) =>
    outcome.status === "fulfilled" ? outcome.value.succeeded : (outcome.reason as KvError).code,
  );
  expect(codes).toEqual(["unavailable", true, "unavailable"]);
  openAgain(disk);
  await store.close();
});

test("keys that cannot expire for open files are not shown, and expire when they can", async () => {
  const { disk, store, time, fatal } = await begin();
  await write(store, putFor("due", "", 1_000));
  openNothing(disk, "EMFILE");
  // Until not even an expiry fits into the segment that there is.
  while (!(await refused(write(store, put("~", ""))))) continue;
  time.now += 1_000;
  await failure(() => store.list({}), "unavailable");
  openAgain(disk);
  time.now += 10_000;
  expect((await store.list({})).entries.map(({ key }) => key)).toEqual(["before", "~"]);
  expect(fatal).toEqual([]);
  await store.close();
});

test("from the name of a new segment on no file is opened", async () => {
  const { disk, store } = await begin();
  let isNamed = false;
  const late: string[] = [];
  disk.fault = ({ kind, name }) => {
    if (isNamed) late.push(kind);
    if (kind === "rename" && name.endsWith(".log.tmp")) isNamed = true;
    return undefined;
  };
  disk.lookFault = ({ kind }) => void (isNamed && late.push(kind));
  await write(store, put("a", VALUE));
  expect(isNamed).toBe(true);
  expect(late).toContain("syncDirectory");
  for (const kind of ["create", "open", "list"]) expect(late).not.toContain(kind);
  await store.close();
});

test("an error after the name of a new segment is the end, whatever it is, and is told", async () => {
  const { disk, store, fatal } = await begin();
  disk.fault = ({ kind }) => (kind === "syncDirectory" ? "EMFILE" : undefined);
  // To look at the directory now would fail too, and hide what went wrong.
  disk.lookFault = ({ kind }) => (kind === "list" ? "EIO" : undefined);
  const error = await failure(() => write(store, put("a", VALUE)), "outcome_unknown");
  expect(error.message).toContain("EMFILE");
  expect(fatal).toHaveLength(1);
  await store.close();
});

// --- internal ---

/** Does a call need a descriptor? */
function opens({ kind }: Call | Look): boolean {
  return ["create", "open", "list"].includes(kind);
}

function refused(write: Promise<unknown>): Promise<boolean> {
  return write.then(
    () => false,
    () => true,
  );
}
