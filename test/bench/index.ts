/**
 * The index alone, with 16-byte keys: `bun test/bench/index.ts [KEYS] [WAY]`, where WAY is `order`,
 * `random` or `columns`, the way in which it is filled. Prints bytes a key, and nanoseconds of
 * processor time of each step for one key: what else the machine does counts little.
 */

import { KeyColumns } from "../../src/log/key-columns.ts";
import { KeyIndex, NO_ENTRY, position } from "../../src/log/key-index.ts";

const keys = Number(process.argv[2] ?? 10_000_000);
const way = process.argv[3] ?? "columns";

const index = new KeyIndex();
const key = new Uint8Array(16);
/** What came of a step: so that none is left out. */
let sum = 0;

step("making keys, to be taken off", keys, (at) => writeKey(way === "random" ? mixed(at) : at));
if (way === "columns") appendAll();
else step("putting new keys", keys, (at) => put(way === "random" ? mixed(at) : at));
const resident = process.memoryUsage.rss() / keys;
console.log(`${(index.bytesHeld / keys).toFixed(1)} bytes a key, ${resident.toFixed(1)} resident`);

const lookups = Math.min(keys, 1_000_000);
const names = Array.from({ length: lookups / 4 }, () => {
  writeKey(anyKey());
  return Buffer.from(key).toString("latin1");
});
step("making keys in no order, to be taken off", lookups, () => writeKey(anyKey()));
step("finding by bytes, with the revision", lookups, () => {
  writeKey(anyKey());
  const entry = index.find(key, 0, 16);
  if (entry !== NO_ENTRY) sum += index.revision(entry);
});
step("finding by text, with the revision", names.length, (at) => {
  sum += index.revision(index.findKey(names[at]!));
});
step("all that is known, as an object", names.length, (at) => {
  sum += index.get(names[at]!)!.revision;
});
step("putting keys that are there", lookups, () => put(anyKey()));
const scan = index.scanUp("");
step("the next entry in order", keys, () => (sum += scan.next()));
const texts = index.up("");
step("the next key in order, as text", lookups, () => (sum += texts.next().value!.length));
copyAll();
if (!Number.isFinite(sum)) throw new Error("nothing was read");

// --- internal ---

function step(what: string, count: number, run: (at: number) => void): void {
  const before = process.cpuUsage();
  for (let at = 0; at < count; at++) run(at);
  report(what, count, before);
}

function report(what: string, count: number, before: NodeJS.CpuUsage): void {
  const { user, system } = process.cpuUsage(before);
  console.log(`${what.padEnd(42)} ${(((user + system) * 1_000) / count).toFixed(0)} ns`);
}

/** Another number for each one: multiplied by what has no factor in common with 2^32. */
function mixed(at: number): number {
  return Math.imul(at, 0x9e3779b1) >>> 0;
}

function anyKey(): number {
  const at = Math.floor(Math.random() * keys);
  return way === "random" ? mixed(at) : at;
}

/** 16 digits of a number. */
function writeKey(number: number): void {
  let left = number;
  for (let at = 15; at >= 0; at--) {
    const next = Math.floor(left / 10);
    key[at] = 0x30 + left - 10 * next;
    left = next;
  }
}

function put(number: number): void {
  writeKey(number);
  const place = position(1 + (number >>> 19), 192 * (number & 0x7ffff));
  index.put(key, 0, 16, number + 1, number + 1, 1, "text/plain", 0, place, 192);
}

/** As a start reads a checkpoint: the making of the columns is left out. */
function appendAll(): void {
  const columns = emptyColumns();
  index.reserve(keys);
  let nanoseconds = 0;
  const timed = (run: () => void): void => {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    nanoseconds += (user + system) * 1_000;
  };
  for (let from = 0; from < keys; from += columns.count) {
    columns.count = Math.min(columns.keysMax, keys - from);
    for (let at = 0; at < columns.count; at++) fillRow(columns, at, from + at);
    timed(() => {
      if (!index.appendColumns(columns)) throw new Error("the keys are in order");
    });
  }
  timed(() => index.endAppend());
  console.log(`${"appending columns".padEnd(42)} ${(nanoseconds / keys).toFixed(0)} ns`);
}

function fillRow(columns: KeyColumns, at: number, number: number): void {
  writeKey(number);
  columns.keys.set(key, 16 * at);
  columns.keyEnds[at] = 16 * at + 16;
  columns.revisions[at] = number + 1;
  columns.createRevisions[at] = number + 1;
  columns.versions[at] = 1;
  columns.positions[at] = position(1 + (number >>> 19), 192 * (number & 0x7ffff));
  columns.recordBytes[at] = 192;
  columns.contentTypes[at] = "text/plain";
}

function emptyColumns(): KeyColumns {
  return new KeyColumns(1_024);
}

/** As a checkpoint is made. */
function copyAll(): void {
  const columns = emptyColumns();
  const copy = index.copy();
  const before = process.cpuUsage();
  for (let more = true; more;) {
    columns.count = 0;
    more = copy.fill(columns);
  }
  report("copying into columns", keys, before);
  index.endCopy();
}
