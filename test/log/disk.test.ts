/** Whole files, the real directory, and the fake disk against it. */

import { afterEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { createWhole, openDirectory, readFully, writeFully } from "../../src/log/disk.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { random } from "../support/random.ts";
import { bytes } from "../support/stores.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";

let directory: TemporaryDirectory | undefined;
afterEach(() => directory?.remove());

const disks = {
  "a directory": () => openDirectory((directory = temporaryDirectory()).path),
  "the fake disk": () => new FakeDisk(),
};

describe.each(Object.entries(disks))("%s", (_, make) => {
  test("keeps what is written, at any offset and beyond the end", async () => {
    const disk = make();
    const file = disk.create("a");
    expect([file.name, file.size()]).toEqual(["a", 0]);
    writeFully(file, bytes("hello"), 0);
    writeFully(file, bytes("J"), 0);
    writeFully(file, bytes("!"), 7);
    await file.sync();
    file.close();
    disk.syncDirectory();
    const again = disk.open("a");
    const into = new Uint8Array(20);
    expect(readFully(again, into, 0)).toBe(8);
    expect(Buffer.from(into.subarray(0, 8)).toString()).toBe("Jello\0\0!");
    expect(readFully(again, into, 6)).toBe(2);
    expect(readFully(again, into, 100)).toBe(0);
    expect(await again.readAsync(into, 6)).toBe(2);
    expect(Buffer.from(into.subarray(0, 2)).toString()).toBe("\0!");
    expect(await again.readAsync(into, 100)).toBe(0);
    again.truncate(3);
    expect(again.size()).toBe(3);
    writeFully(again, bytes("x"), 4);
    expect(readFully(again, into, 0)).toBe(5);
    expect(Buffer.from(into.subarray(0, 5)).toString()).toBe("Jel\0x");
    again.close();
  });

  test("makes, replaces and removes names", () => {
    const disk = make();
    for (const name of ["a", "b"]) {
      const file = disk.create(name);
      writeFully(file, bytes(name), 0);
      file.close();
    }
    expect(code(() => disk.create("a"))).toBe("EEXIST");
    expect(code(() => disk.open("c"))).toBe("ENOENT");
    expect(code(() => disk.unlink("c"))).toBe("ENOENT");
    disk.rename("a", "b");
    expect(disk.list().filter((name) => name !== "LOCK")).toEqual(["b"]);
    const file = disk.open("b");
    const into = new Uint8Array(1);
    readFully(file, into, 0);
    expect(Buffer.from(into).toString()).toBe("a");
    file.close();
    disk.unlink("b");
    expect(disk.list()).toEqual([]);
  });

  test("is locked by one at a time", () => {
    const disk = make();
    const lock = disk.lock();
    expect(code(() => disk.lock())).toBe("conflict");
    lock.release();
    disk.lock().release();
  });

  test("makes a file whole, under its own name only", async () => {
    const disk = make();
    const file = await createWhole(disk, "whole", bytes("content"));
    expect(file.size()).toBe(7);
    file.close();
    expect(disk.list()).toEqual(["whole"]);
  });
});

describe("a directory", () => {
  test("is held open while it is locked: to sync it needs no descriptor more", async () => {
    directory = temporaryDirectory();
    const path = join(directory.path, "data");
    const disk = openDirectory(path);
    const lock = disk.lock();
    // What is opened by its path would not be found any more.
    renameSync(path, join(directory.path, "moved"));
    await disk.syncDirectory();
    await disk.syncDirectory();
    lock.release();
    await expect(disk.syncDirectory()).rejects.toThrow("ENOENT");
  });

  test("is made for the owner alone, and so are its files", () => {
    directory = temporaryDirectory();
    const path = join(directory.path, "deep", "data");
    const disk = openDirectory(path);
    disk.create("a").close();
    expect(statSync(path).mode & 0o777).toBe(0o700);
    disk.lock().release();
    for (const name of ["a", "LOCK"]) expect(statSync(join(path, name)).mode & 0o777).toBe(0o600);
  });

  test("does not follow links that someone put there", () => {
    directory = temporaryDirectory();
    const target = join(directory.path, "target");
    writeFileSync(target, "precious");
    const disk = openDirectory(join(directory.path, "data"));
    symlinkSync(target, join(directory.path, "data", "a"));
    expect(code(() => disk.open("a"))).toBe("ELOOP");
    expect(code(() => disk.create("a"))).toBe("EEXIST");
  });

  test("is locked against another process, until that one dies", async () => {
    directory = temporaryDirectory();
    const { path } = directory;
    const script = `
      const { openDirectory } = await import(${JSON.stringify(join(import.meta.dir, "../../src/log/disk.ts"))});
      openDirectory(${JSON.stringify(path)}).lock();
      process.stdout.write("locked\\n");
      setInterval(() => {}, 1000);`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stdin: "ignore" });
    try {
      const reader = child.stdout.getReader();
      expect(Buffer.from((await reader.read()).value!).toString()).toBe("locked\n");
      const disk = openDirectory(path);
      expect(code(() => disk.lock())).toBe("conflict");
      child.kill("SIGKILL");
      await child.exited;
      disk.lock().release();
    } finally {
      child.kill("SIGKILL");
    }
  });

  test("needs no room on the disk: the lock is the empty file LOCK and nothing beside it", () => {
    directory = temporaryDirectory();
    const lock = openDirectory(directory.path).lock();
    expect(readdirSync(directory.path)).toEqual(["LOCK"]);
    expect(statSync(join(directory.path, "LOCK")).size).toBe(0);
    lock.release();
  });

  test("stays locked when a second opening of it in this process was refused", () => {
    directory = temporaryDirectory();
    const first = openDirectory(directory.path).lock();
    const second = openDirectory(join(directory.path, "..", directory.path.split("/").at(-1)!));
    expect(code(() => second.lock())).toBe("conflict");
    expect(code(() => second.lock())).toBe("conflict");
    first.release();
    first.release();
    const third = second.lock();
    expect(code(() => openDirectory(directory!.path).lock())).toBe("conflict");
    third.release();
    expect(existsSync(join(directory.path, "LOCK"))).toBe(true);
    expect(readdirSync(directory.path)).toEqual(["LOCK"]);
  });
});

test("a read off the event loop fails with the code of the system", async () => {
  directory = temporaryDirectory();
  mkdirSync(join(directory.path, "none"));
  const file = openDirectory(directory.path).openReadOnly("none");
  await expect(file.readAsync(new Uint8Array(1), 0)).rejects.toMatchObject({ code: "EISDIR" });
  file.close();
});

test("a write that the system takes in parts is written whole", () => {
  const disk = new FakeDisk();
  disk.writeBytesMax = 3;
  const file = disk.create("a");
  writeFully(file, bytes("0123456789"), 2);
  expect(Buffer.from(disk.bytes("a")).toString()).toBe(`${"\0".repeat(2)}0123456789`);
});

test("a file is made whole or not at all, whenever the power is cut", async () => {
  for (let cut = 0; cut < 8; cut++) {
    for (let seed = 0; seed < 20; seed++) {
      const disk = new FakeDisk();
      disk.fault = () => (disk.calls > cut ? "EIO" : undefined);
      const made = await createWhole(disk, "whole", bytes("content".repeat(300))).catch(
        () => undefined,
      );
      const after = disk.powerCut(random(seed));
      const there = after.list().includes("whole");
      if (made !== undefined) expect(there).toBe(true);
      if (there) expect(Buffer.from(after.bytes("whole")).toString()).toBe("content".repeat(300));
    }
  }
});

// --- internal ---

function code(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}
