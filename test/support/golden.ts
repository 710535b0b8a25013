/** Writes the same log again and again: clock and store id are given, and the commits are always these. */

import { openLog } from "../../src/log/engine.ts";
import type { Store } from "../../src/kv.ts";
import { TTL_MS_MAX } from "../../src/limits.ts";
import { bytes, del, delRange, dump, incr, put, putFor, shown, touch, write } from "./stores.ts";

/** The time of the last commit. */
export const GOLDEN_NOW = Date.UTC(2026, 0, 2);

/** Makes a log of several segments with all that version 1 can hold. Answers with it, still open. */
export async function writeGolden(directory: string): Promise<Store> {
  let now = Date.UTC(2026, 0, 1);
  const store = await openLog({
    directory,
    clock: () => now,
    // Keys expire when they are asked for.
    timer: () => () => {},
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
  for (let round = 0; round < 10; round++) {
    now += 1_000;
    await write(store, put("counter", String(round)));
  }
  await write(store, incr("counter", -20n), putFor("session", "mine", 30_000));
  await write(store, putFor("lease", "ours", TTL_MS_MAX), touch("session", 60_000));
  await write(store, put("tmp/1"), put("tmp/2"));
  await write(store, delRange({ prefix: "tmp/" }));
  now = GOLDEN_NOW;
  await store.get("session");
  await store.compact(3);
  await write(store, put("last", "1"), touch("lease", "keep"));
  return store;
}

/** All that the log shows: every commit whole, and of the state at each revision what is newest. */
export async function goldenView(store: Store): Promise<unknown> {
  const { status, commits, states } = await dump(store, (await store.status()).oldest);
  const newest = states.map((entries) => entries.map((entry) => [entry["key"], entry["revision"]]));
  const past = await store.history("session");
  const history = { ...past, entries: past.entries.map(shown) };
  return JSON.parse(JSON.stringify({ status, commits, newest, history }));
}
