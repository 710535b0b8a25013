/** What was there before an event, where it is asked for. */

import { expect, test } from "bun:test";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn } from "../support/logs.ts";
import { changesBetween, del, failure, put, shown, write } from "../support/stores.ts";

test("a change stream tells what was before each event, out of memory and out of the log", async () => {
  for (const recentBytesMax of [1_000_000, 0]) {
    const store = await openOn(new FakeDisk(), { recentBytesMax, segmentBytesMax: 500 });
    await write(store, put("a", "1"), put("b", "2"));
    await write(store, put("a", "3"));
    await write(store, del("a"), put("b", "4"));
    await write(store, put("a", "5"));
    const commits = await changesBetween(store, 1, 4, { prev: true });
    const before = commits.map(({ events }) =>
      events.map(({ key, prev }) => [key, prev === undefined ? undefined : shown(prev)["value"]]),
    );
    expect(before).toEqual([
      [
        ["a", undefined],
        ["b", undefined],
      ],
      [["a", "1"]],
      [
        ["a", "3"],
        ["b", "2"],
      ],
      [["a", undefined]],
    ]);
    // Of the first readable revision on, what was before is still to be told.
    await store.compact(2);
    const [third] = await changesBetween(store, 3, 3, { prev: true });
    expect(third!.events.map(({ prev }) => prev?.revision)).toEqual([2, 1]);
    await failure(() => changesBetween(store, 2, 3, { prev: true }), "compacted");
    await store.close();
  }
});
