/** The mark of how far the log is synced. */

import { expect, test } from "bun:test";
import { DURABLE_FILE, DurableFile, readMark } from "../../src/log/durable.ts";
import { FakeDisk } from "../support/fake-disk.ts";

const mark = (end: number) => ({ segment: 1, end, lastCrc: end * 3 });

test("a new mark is absent, and the newest one that was written is found again", async () => {
  const disk = new FakeDisk();
  const first = await DurableFile.open(disk);
  expect(first.mark).toBeUndefined();
  for (let end = 1; end <= 5; end++) {
    first.durable.write(mark(end));
    const { durable, mark: found } = await DurableFile.open(disk);
    durable.close();
    expect(found).toMatchObject(mark(end));
  }
  first.durable.close();
});

test("a mark that is torn leaves the one before it", async () => {
  const disk = new FakeDisk();
  const { durable } = await DurableFile.open(disk);
  durable.write(mark(1));
  durable.write(mark(2));
  const before = disk.bytes(DURABLE_FILE).slice();
  durable.write(mark(3));
  const after = disk.bytes(DURABLE_FILE).slice();
  const changed = [...after.keys()].filter((at) => before[at] !== after[at]);
  expect(changed.length).toBeGreaterThan(5);
  for (const torn of changed) {
    const bytes = after.slice();
    for (const at of changed) if (at >= torn) bytes[at] = before[at]!;
    const other = new FakeDisk();
    other.place(DURABLE_FILE, bytes);
    const { mark: found } = await DurableFile.open(other);
    expect(found).toMatchObject(mark(2));
  }
});

test("a file that was cut anywhere says the same to a start and to a check", async () => {
  const disk = new FakeDisk();
  const { durable } = await DurableFile.open(disk);
  durable.write(mark(1));
  durable.write(mark(2));
  durable.close();
  const whole = disk.bytes(DURABLE_FILE).slice();
  const ends = new Set<number | undefined>();
  for (let length = 0; length <= whole.length; length++) {
    const cut = new FakeDisk();
    cut.place(DURABLE_FILE, whole.slice(0, length));
    const checked = readMark(cut);
    const { durable: opened, mark: found } = await DurableFile.open(cut);
    opened.close();
    expect(checked).toEqual(found);
    ends.add(found?.end);
  }
  expect(ends).toEqual(new Set([undefined, 2]));
  // What the last slot lacks here is zero anyway.
  const short = new FakeDisk();
  short.place(DURABLE_FILE, whole.slice(0, 40));
  expect(readMark(short)).toMatchObject(mark(2));
  expect(readMark(new FakeDisk())).toBeUndefined();
});

test("the count goes on after a reopen, so that a new mark beats all old ones", async () => {
  const disk = new FakeDisk();
  for (let end = 1; end <= 7; end++) {
    const { durable } = await DurableFile.open(disk);
    // Another number of marks each time, so that both slots are the newest one in turn.
    for (let earlier = end % 3; earlier >= 0; earlier--) durable.write(mark(end * 10 - earlier));
    durable.close();
    const { durable: again, mark: found } = await DurableFile.open(disk);
    again.close();
    expect(found).toMatchObject(mark(end * 10));
  }
});

test("a file of another size, or of noise, is no mark and no error", async () => {
  for (const content of [[], [1, 2, 3], Array.from({ length: 9_000 }, (_, at) => at * 7)]) {
    const disk = new FakeDisk();
    disk.place(DURABLE_FILE, Uint8Array.from(content));
    const { durable, mark: found } = await DurableFile.open(disk);
    expect(found).toBeUndefined();
    durable.write(mark(9));
    expect((await DurableFile.open(disk)).mark).toMatchObject(mark(9));
  }
});
