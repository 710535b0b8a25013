/** Writes the same log again and again: clock and store id are given, and the commits are always these. */

import { openLog } from "../../src/log/engine.ts";
import type { Store } from "../../src/kv.ts";
import { bytes, del, dump, put, write } from "./stores.ts";

/** Makes a log of several segments with all that version 1 can hold. Answers with it, still open. */
export async function writeGolden(directory: string): Promise<Store> {
  let now = Date.UTC(2026, 0, 1);
  const store = await openLog({
    directory,
    clock: () => (now += 1_000),
    random: (count) => Uint8Array.from({ length: count }, (_, at) => at * 17),
    segmentBytesMax: 2_048,
  });
  await write(store, put("a", "1"));
  await write(
    store,
    put("a", "2", "text/css"),
    put("b", ""),
    put("c/d", Uint8Array.of(0, 255, 128)),
  );
  await write(store, del("a"));
  await write(store, put("a", "3", "a".repeat(255)), del("b"));
  // These three are one batch.
  await Promise.all([
    write(store, put("é", "\uFEFFtext")),
    write(store, put("\u{1F600}", "smile"), put("__proto__", "plain")),
    write(store, del("c/d")),
  ]);
  await write(store, put("k".repeat(1_024), "longest key"));
  await write(store, put("large", bytes("large ".repeat(500)), "application/octet-stream"));
  await write(store, put("\u0000", "\u0000"), put("%2F//", "x"), put("שלום", "שלום"));
  for (let round = 0; round < 10; round++) await write(store, put("counter", String(round)));
  return store;
}

/** All that the log shows: every commit whole, and of the state at each revision what is newest. */
export async function goldenView(store: Store): Promise<unknown> {
  const { status, commits, states } = await dump(store, 0);
  const newest = states.map((entries) => entries.map((entry) => [entry["key"], entry["revision"]]));
  return JSON.parse(JSON.stringify({ status, commits, newest }));
}
