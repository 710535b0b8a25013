/**
 * How each golden directory was made, by the engine of its day on a disk in memory, with clock and
 * randomness given. A later engine may write other bytes: what is in `test/fixtures` stays.
 */

import type { LogOptions } from "../../src/log/engine.ts";
import type { Store } from "../../src/kv.ts";
import { maintained } from "./checkpoints.ts";
import { copyOf } from "./copies.ts";
import { FakeDisk } from "./fake-disk.ts";
import { openOn, recordsOf, segmentNames } from "./logs.ts";
import { del, delRange, incr, put, putFor, touch, write } from "./stores.ts";

/** A disk with a log on it, and the time of its last commit. */
export interface Made {
  readonly disk: FakeDisk;
  readonly now: number;
}

export const goldenMakers: Readonly<Record<string, () => Promise<Made>>> = {
  "format-1-plain": plain,
  "format-1-torn": torn,
  "format-1-cut": cutAside,
  "format-1-void": voided,
  "format-1-unclean": unclean,
  "format-1-merged": merged,
  // Both in the same way: the second one since checkpoints are of version 2.
  "format-1-checkpoint": checkpoint,
  "format-1-checkpoint-2": checkpoint,
  "copies-1": makeCopies,
};

// --- internal ---

const START = Date.UTC(2026, 2, 1);

class Maker {
  disk = new FakeDisk();
  copies = new FakeDisk();
  now = START;

  open(options: Partial<LogOptions> = {}): Promise<Store> {
    return openOn(this.disk, {
      clock: () => this.now,
      // Keys expire when they are asked for, and nothing happens by itself.
      timer: () => () => {},
      random: (count) => Uint8Array.from({ length: count }, (_, at) => 0xff - at * 13),
      segmentBytesMax: 1_000,
      ...options,
    });
  }
}

/** Segments with all kinds of commits, a batch of several, and a compaction. */
async function plain(): Promise<Made> {
  const made = new Maker();
  const store = await made.open({ segmentBytesMax: 600 });
  await writeSome(store, made);
  await store.close();
  return made;
}

async function writeSome(store: Store, made: Maker): Promise<void> {
  await write(store, put("a", "1"), put("b/é", "\uFEFFx", "text/css"));
  await Promise.all([write(store, del("a")), write(store, put("b/2", Uint8Array.of(0, 255)))]);
  await write(store, putFor("lease", "mine", 5_000), incr("n", -7n));
  made.now += 1_000;
  await write(store, put("a", "again"), touch("lease", 2_000));
  made.now += 3_000;
  await store.get("lease");
  await store.compact(2);
  await write(store, delRange({ prefix: "b/" }), incr("n"));
  await write(store, put("a", "x".repeat(100)));
}

/** What a power cut left: below the mark all, above it a whole commit and a torn one. */
async function torn(): Promise<Made> {
  const made = new Maker();
  const store = await made.open({ segmentBytesMax: 4_000 });
  await writeSome(store, made);
  const mark = made.disk.bytes("DURABLE").slice();
  const [name] = segmentNames(made.disk) as [string];
  // One batch: only its first record proves that what is before it was synced.
  await Promise.all([
    write(store, put("whole", "only looks written"), put("a", "2")),
    write(store, put("torn", "y".repeat(100)), del("whole")),
  ]);
  const torn = recordsOf(made.disk, name).find(({ revision }) => revision === 10)!;
  made.disk = made.disk.kill();
  made.disk.place("DURABLE", mark);
  made.disk.place(name, made.disk.bytes(name).slice(0, torn.offset + 203));
  return made;
}

/** A store that answered before the sync and was killed twice; then it was stopped in order. */
async function voided(): Promise<Made> {
  const made = new Maker();
  for (let life = 0; life < 3; life++) {
    const store = await made.open({ durability: { mode: "os" } });
    await write(store, put("life", String(life)), put(`only/${life}`, "x"));
    await write(store, life === 1 ? del("only/0") : incr("n"));
    if (life === 2) await store.compact(1);
    if (life === 2) await store.close();
    made.disk = made.disk.kill();
  }
  return made;
}

/** Such a store as a power cut leaves it: of what was not synced, the last commit is torn. */
async function unclean(): Promise<Made> {
  const made = new Maker();
  const store = await made.open({ durability: { mode: "os" }, segmentBytesMax: 4_000 });
  await writeSome(store, made);
  const [name] = segmentNames(made.disk) as [string];
  made.disk = made.disk.kill();
  made.disk.place(name, made.disk.bytes(name).slice(0, -50));
  return made;
}

/**
 * Old segments in one, with tombstones and a void in it, and behind it such that were not merged. Of
 * those that it stands for, one is still there, as after a crash.
 */
async function merged(): Promise<Made> {
  const made = new Maker();
  const options = { segmentBytesMax: 600, mergeBytesMin: 1 };
  const before = await made.open({ ...options, durability: { mode: "os" } });
  await writeSome(before, made);
  made.disk = made.disk.kill();
  const store = await made.open(options);
  await write(store, put("life", "2"), del("n"), put("kept", "since before"));
  await write(store, put("short", "x"), put("life", "3"));
  const { revision } = await write(store, del("short"), put("life", "4"));
  await store.compact(revision);
  await write(store, put("life", "5"));
  const replaced = made.disk.copy();
  await maintained(store);
  await write(store, del("kept"), put("later", "1"));
  await store.close();
  const gone = segmentNames(replaced).filter((name) => !made.disk.list().includes(name));
  made.disk.place(gone.at(-1)!, replaced.bytes(gone.at(-1)!).slice());
  return made;
}

/** A checkpoint with deletions, deadlines and a void in it, and more log behind its place. */
async function checkpoint(): Promise<Made> {
  const made = new Maker();
  const before = await made.open({ segmentBytesMax: 600, durability: { mode: "os" } });
  await writeSome(before, made);
  made.disk = made.disk.kill();
  const store = await made.open({ segmentBytesMax: 600, checkpointBytesMin: 1 });
  await write(store, del("n"), putFor("lease", "theirs", 60_000), put("\u{1F600}", "smile"));
  await maintained(store);
  made.disk = made.disk.kill();
  const after = await made.open({ segmentBytesMax: 600 });
  await write(after, put("a", "behind the place"), del("\u{1F600}"));
  await after.close();
  return made;
}

/** What the start after it makes of that: the torn commit kept aside, the whole one rewritten. */
async function cutAside(): Promise<Made> {
  const { disk, now } = await torn();
  const made = new Maker();
  Object.assign(made, { disk, now });
  const store = await made.open();
  await write(store, put("later", "1"));
  await store.close();
  return made;
}

/** A full copy of a store, and one of what came after it. */
async function makeCopies(): Promise<Made> {
  const made = new Maker();
  const before = await made.open({ durability: { mode: "os" } });
  await writeSome(before, made);
  const { revision: since } = await before.status();
  made.copies.place("full.backup", await copyOf(before));
  // The second copy has a void in it.
  made.disk = made.disk.kill();
  const after = await made.open({ durability: { mode: "os" } });
  await writeSome(after, made);
  made.copies.place("since.backup", await copyOf(after, { since }));
  return { disk: made.copies, now: made.now };
}
