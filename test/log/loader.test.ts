/** A start knows the content type of every key, however many types there are and how alike they are. */

import { expect, test } from "bun:test";
import type { Operation } from "../../src/kv.ts";
import { killedAfter, openOn } from "../support/logs.ts";
import { put, write } from "../support/stores.ts";

test.each([
  ["few types of the same length, one after the other", 3_000, (at: number) => `t/${at % 3}`],
  ["types that begin alike", 300, (at: number) => `${"long/".repeat(20)}${"y".repeat(at % 2)}`],
  ["more types than are remembered", 12_000, (at: number) => `type/${at}`],
  ["types that come again after many others", 24_000, (at: number) => `type/${at % 12_000}`],
])("%s", async (_, count, typeOf) => {
  const disk = await killedAfter(async (store) => {
    for (let from = 0; from < count; from += 1_000) {
      const puts = Array.from({ length: Math.min(1_000, count - from) }, (_value, at): Operation =>
        put(keyOf(from + at), "", typeOf(from + at)),
      );
      await write(store, ...puts);
    }
  });
  const after = await openOn(disk);
  const wrong: number[] = [];
  for (let at = 0; at < count; at++) {
    const { entry } = await after.get(keyOf(at));
    if (entry?.contentType !== typeOf(at)) wrong.push(at);
  }
  expect(wrong).toEqual([]);
  await after.close();
});

// --- internal ---

function keyOf(at: number): string {
  return `key ${at}`;
}
