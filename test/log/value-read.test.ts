/** Values that are read one at a time. */

import { expect, test } from "bun:test";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn } from "../support/logs.ts";
import { put, write } from "../support/stores.ts";

test("a value alone takes one read, whatever the size of the one before", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk, { valueCacheBytesMax: 0, recentBytesMax: 0 });
  const sizes = [0, 1, 100, 100, 3_000, 7, 60_000, 100];
  const values = sizes.map((size, at) => `${at}`.repeat(size));
  await write(store, ...values.map((value, at) => put(`key ${at}`, value)));
  let reads = 0;
  disk.lookFault = ({ kind }) => {
    if (kind === "read") reads++;
    return undefined;
  };
  for (const [at, value] of [...values.entries(), ...[...values.entries()].toReversed()]) {
    reads = 0;
    const { entry } = await store.get(`key ${at}`);
    expect(Buffer.from(entry!.value).toString()).toBe(value);
    expect(reads).toBe(1);
  }
  await store.close();
});
