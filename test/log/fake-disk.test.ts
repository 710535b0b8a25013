/** The fake disk forgets what a real one may, and nothing else; and its copies know nothing of each other. */

import { describe, expect, test } from "bun:test";
import { FakeDisk, SHORT } from "../support/fake-disk.ts";
import { random } from "../support/random.ts";

/** Contents of a file after many power cuts, each once. */
function after(disk: FakeDisk, name: string): (string | undefined)[] {
  const seen = new Set<string | undefined>();
  for (let seed = 0; seed < 200; seed++) {
    const cut = disk.afterPowerCut(random(seed));
    seen.add(cut.list().includes(name) ? text(cut, name) : undefined);
  }
  return [...seen].toSorted();
}

function text(disk: FakeDisk, name: string): string {
  return Buffer.from(disk.bytes(name)).toString().replaceAll("\0", "0");
}

async function diskWith(name: string, content: string): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const file = disk.create(name);
  file.write(Buffer.from(content), 0);
  await file.sync();
  file.close();
  await disk.syncDirectory();
  return disk;
}

describe("a power cut", () => {
  test("takes nothing that was synced", async () => {
    expect(after(await diskWith("a", "one"), "a")).toEqual(["one"]);
  });

  test("takes or keeps what was written and not synced, or its bytes and not its size", async () => {
    const disk = await diskWith("a", "one");
    disk.open("a").write(Buffer.from("two"), 3);
    expect(after(disk, "a")).toEqual(["one", "one000", "onetwo"]);
  });

  test("tears a write between sectors, in any order, and never within one", async () => {
    const disk = await diskWith("a", "x".repeat(1_024));
    disk.open("a").write(Buffer.from("y".repeat(1_024)), 0);
    const sectors = after(disk, "a").map((content) => [content![0], content![512]].join(""));
    expect(sectors).toEqual(["xx", "xy", "yx", "yy"]);
    for (const content of after(disk, "a")) expect(content).toMatch(/^(x{512}|y{512}){2}$/);
  });

  test("takes or keeps a truncate and a removal on its own", async () => {
    const disk = await diskWith("a", "one");
    disk.open("a").truncate(1);
    expect(after(disk, "a")).toEqual(["o", "one"]);
    disk.unlink("a");
    expect(after(disk, "a")).toEqual(["o", "one", undefined]);
  });

  test("after a rename without a sync of the file can leave an empty file", async () => {
    const disk = await diskWith("a", "old");
    disk.create("b").write(Buffer.from("new"), 0);
    disk.rename("b", "a");
    await disk.syncDirectory();
    expect(after(disk, "a")).toEqual(["", "000", "new"]);
  });

  test("keeps of a sync what was written before it began", async () => {
    const disk = await diskWith("a", "one");
    const file = disk.open("a");
    const synced = file.sync();
    file.write(Buffer.from("two"), 0);
    await synced;
    expect(after(disk, "a")).toEqual(["one", "two"]);
  });

  test("keeps of names what was there when the sync of the directory began", async () => {
    const disk = await diskWith("a", "one");
    const synced = disk.syncDirectory();
    disk.rename("a", "b");
    await synced;
    expect(after(disk, "b")).toEqual(["one", undefined]);
  });
});

test("after a sync that failed, what looks written is lost, or some of it is, and no sync saves it", async () => {
  for (const keeps of [true, false]) {
    const disk = await diskWith("a", "one");
    disk.failedSyncKeeps = () => keeps;
    disk.fault = ({ kind }) => (kind === "sync" ? "EIO" : undefined);
    const file = disk.open("a");
    file.write(Buffer.from("two"), 0);
    expect(await file.sync().catch(({ code }) => code)).toBe("EIO");
    disk.fault = undefined;
    await file.sync();
    expect(text(disk, "a")).toBe("two");
    expect(after(disk, "a")).toEqual([keeps ? "two" : "one"]);
  }
});

test("a short write takes a part and says how much", async () => {
  const disk = await diskWith("a", "");
  disk.fault = () => SHORT;
  expect(disk.open("a").write(Buffer.from("abcd"), 0)).toBe(2);
  expect(text(disk, "a")).toBe("ab");
});

test("a fork, an image and the disk that they are of change on their own", async () => {
  const disk = await diskWith("a", "one");
  const [fork, cut, copy] = [disk.fork(), disk.afterPowerCut(random(1)), disk.copy()];
  for (const [at, one] of [disk, fork, cut, copy].entries()) {
    one.open("a").write(Buffer.from(String(at)), 0);
  }
  expect([disk, fork, cut, copy].map((one) => text(one, "a"))).toEqual([
    "0ne",
    "1ne",
    "2ne",
    "3ne",
  ]);
  disk.unlink("a");
  expect(fork.list()).toEqual(["a"]);
});

test("a process that dies in the middle of a write leaves a part of it, which a power cut takes", async () => {
  const disk = await diskWith("a", "one");
  const dying = { kind: "write", name: "a", at: 3, bytes: Buffer.from("two") } as const;
  const fork = disk.fork(dying, 2);
  expect(text(fork, "a")).toBe("onetw");
  expect(after(fork, "a")).toEqual(["one", "one00", "onetw"]);
  expect(text(disk, "a")).toBe("one");
});
