/** Reads of the log that fail, or come in parts: what is answered, and that all else goes on. */

import { describe, expect, test } from "bun:test";
import { openLog } from "../../src/log/engine.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import {
  changesBetween,
  del,
  dump,
  failure,
  incr,
  put,
  textOf,
  touch,
  write,
} from "../support/stores.ts";

/** A store that keeps no value in memory, and a key whose record cannot be read. */
async function beginBad() {
  const disk = new FakeDisk();
  const fatal: Error[] = [];
  const store = await openLog({
    directory: disk.directory,
    disk,
    valueCacheBytesMax: 0,
    recentBytesMax: 0,
    segmentBytesMax: 400,
    onFatal: (error) => void fatal.push(error),
  });
  await write(store, put("bad", "x".repeat(300)));
  await write(store, put("good", "fine"));
  disk.lookFault = ({ kind, name }) =>
    kind === "read" && name === "0000000001.log" ? "EIO" : undefined;
  return { disk, store, fatal };
}

describe("a read that fails", () => {
  test("answers internal with file and offset, again and again, and no other key does", async () => {
    const { store, fatal } = await beginBad();
    for (let round = 0; round < 3; round++) {
      const error = await failure(() => store.get("bad"), "internal");
      expect(error.message).toMatch(/^reading 0000000001\.log at offset 128 failed: .*EIO/);
      expect(await textOf(store, "good")).toBe("fine");
    }
    await failure(() => store.list({}), "internal");
    await failure(() => store.history("bad"), "internal");
    await failure(() => changesBetween(store, 1, 2), "internal");
    expect((await store.list({ prefix: "good" })).entries).toHaveLength(1);
    expect((await store.list({}, { keys: true })).entries).toHaveLength(2);
    expect(await changesBetween(store, 2, 2)).toHaveLength(1);
    expect(fatal).toEqual([]);
    await store.close();
  });

  test("fails the write that needs it, and none that came with it", async () => {
    const { store, fatal } = await beginBad();
    const checks = [{ key: "bad", value: new Uint8Array(300) }];
    const [touched, added, checked, done] = await Promise.allSettled([
      write(store, touch("bad", "none")),
      write(store, put("count", "1"), incr("count"), { op: "get", key: "bad" }),
      store.commit({ checks, then: [put("good", "not")] }),
      write(store, put("good", "better")),
    ]);
    for (const outcome of [touched, added, checked]) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "internal" } });
    }
    expect(done.status).toBe("fulfilled");
    expect(await textOf(store, "good")).toBe("better");
    expect(await textOf(store, "count")).toBeUndefined();
    expect(fatal).toEqual([]);
    await store.close();
  });

  test("hinders neither a put nor a delete of the key, and is over when it was passing", async () => {
    const { disk, store } = await beginBad();
    await write(store, put("bad", "new"));
    expect(await textOf(store, "bad")).toBe("new");
    await write(store, del("bad"));
    expect(await textOf(store, "bad")).toBeUndefined();
    await failure(() => store.get("bad", { revision: 1 }), "internal");
    disk.lookFault = undefined;
    expect(await textOf(store, "bad", 1)).toBe("x".repeat(300));
    await store.close();
  });
});

test.each([1, 7, 100])("reads that answer %d bytes at a time are completed", async (count) => {
  const disk = new FakeDisk();
  const options = { directory: disk.directory, valueCacheBytesMax: 0, recentBytesMax: 0 };
  const store = await openLog({ ...options, disk });
  for (let round = 0; round < 5; round++) await write(store, put("a", `${round}`.repeat(500)));
  const right = await dump(store, 0);
  disk.readBytesMax = count;
  expect(await dump(store, 0)).toEqual(right);
  const killed = disk.kill();
  killed.readBytesMax = count;
  const again = await openLog({ ...options, disk: killed });
  expect(await dump(again, 0)).toEqual(right);
  await again.close();
});
