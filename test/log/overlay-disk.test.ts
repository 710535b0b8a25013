/** What is done to a directory in memory is seen there as on a disk, and nothing of it on the disk. */

import { expect, test } from "bun:test";
import { createAnew, type Disk, removeQuietly } from "../../src/log/disk.ts";
import { OverlayDisk } from "../../src/log/overlay-disk.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { type Random, randomSeed, withSeed } from "../support/random.ts";

const NAMES = ["a", "b", "c"];

test("any steps leave the files that they leave on a disk", async () => {
  for (let round = 0; round < 50; round++) {
    await withSeed(randomSeed(), (random) => {
      const under = new FakeDisk();
      for (const name of ["a", "b"]) under.place(name, bytesOf(random));
      const before = contentOf(under);
      const beside = under.copy();
      const overlay = new OverlayDisk(under, [], () => undefined);
      for (let left = 40; left > 0; left--) {
        const step = stepOf(random);
        expect(outcomeOf(step, overlay)).toEqual(outcomeOf(step, beside));
        expect(contentOf(overlay)).toEqual(contentOf(beside));
      }
      expect(contentOf(under)).toEqual(before);
      overlay.release();
    });
  }
});

test("a file that is hidden is not there, until one of its name is made", () => {
  const under = new FakeDisk();
  under.place("a", Uint8Array.of(1, 2, 3));
  const overlay = new OverlayDisk(under, ["a"], () => undefined);
  expect(overlay.list()).toEqual([]);
  expect(() => overlay.open("a")).toThrow("ENOENT");
  overlay.create("a").write(Uint8Array.of(9), 0);
  expect(contentOf(overlay)).toEqual({ a: [9] });
  overlay.unlink("a");
  expect(() => overlay.open("a")).toThrow("ENOENT");
  expect(under.bytes("a")).toEqual(Uint8Array.of(1, 2, 3));
});

test("a read that the disk cuts short is cut short under what was written, too", () => {
  const under = new FakeDisk();
  under.place("a", new Uint8Array(100).fill(1));
  const overlay = new OverlayDisk(under, [], () => undefined);
  const file = overlay.open("a");
  file.write(Uint8Array.of(2), 90);
  under.readBytesMax = 10;
  const into = new Uint8Array(100);
  expect(file.read(into, 0)).toBe(10);
  under.readBytesMax = Infinity;
  expect(file.read(into, 0)).toBe(100);
  expect([into[0], into[89], into[90], into[91]]).toEqual([1, 1, 2, 1]);
  overlay.release();
});

// --- internal ---

type Step = (disk: Disk) => unknown;

function stepOf(random: Random): Step {
  const name = random.pick(NAMES);
  const at = random.below(40);
  const bytes = bytesOf(random);
  return random.pick<Step>([
    (disk) => {
      const file = createAnew(disk, name);
      file.write(bytes, 0);
      file.close();
    },
    (disk) => removeQuietly(disk, name),
    (disk) => disk.rename(name, NAMES[at % 3]!),
    (disk) => onFile(disk, name, (file) => file.write(bytes, Math.min(at, file.size()))),
    (disk) => onFile(disk, name, (file) => file.write(bytes, Math.min(at, file.size()))),
    (disk) => onFile(disk, name, (file) => file.truncate(Math.min(at, file.size()))),
    (disk) => {
      const into = new Uint8Array(at);
      const count = onFile(disk, name, (file) => file.read(into, at % 7));
      return [count, [...into.subarray(0, count)]];
    },
  ]);
}

function onFile<T>(disk: Disk, name: string, work: (file: ReturnType<Disk["open"]>) => T): T {
  const file = disk.open(name);
  try {
    return work(file);
  } finally {
    file.close();
  }
}

/** What a step answers, or that it fails. */
function outcomeOf(step: Step, disk: Disk): unknown {
  try {
    const answer = step(disk);
    return typeof answer === "object" || typeof answer === "number" ? answer : "done";
  } catch {
    return "failed";
  }
}

function contentOf(disk: Disk): Record<string, number[]> {
  const content: Record<string, number[]> = {};
  for (const name of disk.list().toSorted()) {
    content[name] = onFile(disk, name, (file) => {
      const bytes = new Uint8Array(file.size());
      return [...bytes.subarray(0, file.read(bytes, 0))];
    });
  }
  return content;
}

function bytesOf(random: Random): Uint8Array {
  return Uint8Array.from({ length: random.below(30) }, () => 1 + random.below(255));
}
