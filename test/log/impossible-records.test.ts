/** Records that are sound in themselves and cannot be where they are: the start is refused. */

import { expect, test } from "bun:test";
import { KIND } from "../../src/log/format.ts";
import { appendRecord, killedAfter, openOn } from "../support/logs.ts";
import { bytes, failure, put, write } from "../support/stores.ts";

test.each([
  ["a previous revision that is not the key's", 5, "the key's previous revision is 5, but was 1"],
  ["none, where the key has one", 0, "the key's previous revision is 0, but was 1"],
])("a put with %s", async (_, previousRevision, message) => {
  const disk = await killedAfter(async (store) => {
    await write(store, put("a", "1"));
    await write(store, put("b", "2"));
  });
  const record = { kind: KIND.put, key: bytes("a"), value: bytes("x"), contentType: "text/plain" };
  const again = { ...record, revision: 3, createRevision: 1, version: 2 };
  const right = disk.copy();
  appendRecord(right, { ...again, previousRevision: 1 });
  await (await openOn(right)).close();
  appendRecord(disk, { ...again, previousRevision });
  const error = await failure(() => openOn(disk), "internal");
  expect(error.message).toContain(message);
});
