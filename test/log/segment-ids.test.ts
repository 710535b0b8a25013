/** Ids of segments in memory never run out, however long a store runs. */

import { expect, test } from "bun:test";
import { SEGMENT_ID_MAX } from "../../src/limits.ts";
import { SEGMENT_HEADER_BYTES } from "../../src/log/format.ts";
import { openSegment } from "../../src/log/segment.ts";
import { Segments } from "../../src/log/segments.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn, segmentNames } from "../support/logs.ts";
import { put, write } from "../support/stores.ts";

test("after the highest id those of segments that are gone are given anew", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk, { segmentBytesMax: SEGMENT_HEADER_BYTES + 1 });
  for (const key of ["a", "b", "c"]) await write(store, put(key));
  await store.close();
  const ids = [1, 3, SEGMENT_ID_MAX - 1];
  const opened = segmentNames(disk)
    .slice(0, 3)
    .map((name, at) => openSegment(disk.open(name), ids[at]!));
  const segments = new Segments(opened);
  expect([1, 2, 3, 4].map(() => segments.nextId())).toEqual([SEGMENT_ID_MAX, 2, 4, 5]);
  segments.drop(opened[0]!);
  for (let id = 6; id < SEGMENT_ID_MAX - 1; id++) segments.nextId();
  expect([segments.nextId(), segments.nextId()]).toEqual([SEGMENT_ID_MAX, 1]);
  segments.close();
});
