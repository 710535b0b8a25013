/** Bugs in how batches are written and made durable. */

import type { Bug } from "./bug.ts";

const APPENDER = "src/log/appender.ts";
const SYNCING = "src/log/syncing.ts";
const DISK = "src/log/disk.ts";

export const WRITE_BUGS: readonly Bug[] = [
  {
    name: "a write is answered before it is synced",
    file: APPENDER,
    find: "if (isWaiting) await this.#syncing.all();",
    replace: "if (isWaiting) void this.#syncing.all();",
    caughtBy: { file: "crash-images", name: "whatever a crash leaves" },
  },
  {
    name: "the mark is written before the sync",
    file: SYNCING,
    find: "      await segment.file.sync();\n      this.#syncedWrites",
    replace:
      "      this.#options.durable.write({ segment: segment.number, end: offset, lastCrc: chain });\n" +
      "      await segment.file.sync();\n      this.#syncedWrites",
    caughtBy: { file: "crash-images", name: "whatever a crash leaves" },
  },
  {
    name: "a sync that failed is tried a second time",
    file: SYNCING,
    find: "      await segment.file.sync();\n",
    replace: "      await segment.file.sync().catch(() => segment.file.sync());\n",
    caughtBy: { file: "call-faults" },
  },
  {
    name: "writes go on after a sync that failed",
    file: SYNCING,
    find: "if (this.#failure !== undefined) throw this.#failure;",
    replace: "",
    caughtBy: { file: "syncing" },
  },
  {
    name: "a record says that all before it is synced when it is not",
    file: APPENDER,
    find: "records.place(active, this.#time, this.#syncing.isClean);",
    replace: "records.place(active, this.#time, true);",
    caughtBy: { file: "durability-crash" },
  },
  {
    name: "the part of a batch that a full disk took stays",
    file: APPENDER,
    find: "      file.truncate(offset);\n",
    replace: "",
    caughtBy: { file: "faults", name: "took a part of a batch" },
  },
  {
    name: "what a full disk took is cut without a sync",
    file: APPENDER,
    find: "      await this.#syncing.all();\n      throw new SpaceError(error.message);",
    replace: "      throw new SpaceError(error.message);",
    caughtBy: { file: "faults", name: "took a part of a batch" },
  },
  {
    name: "a write that the disk takes in parts is not completed",
    file: DISK,
    find: "done += count;\n  }\n}\n\n/**\n * Makes a whole",
    replace: "done = bytes.length;\n  }\n}\n\n/**\n * Makes a whole",
    caughtBy: { file: "call-faults" },
  },
  {
    name: "too many open files end the store",
    file: APPENDER,
    find: "      if (!isNamed && isOpenFilesError(error)) throw new OpenFilesError(error.message);\n",
    replace: "",
    caughtBy: { file: "open-files", name: "the store goes on" },
  },
  {
    name: "a segment that has its name already is taken for none",
    file: APPENDER,
    find: "!isNamed && isOpenFilesError(error)",
    replace: "isOpenFilesError(error)",
    caughtBy: { file: "open-files", name: "after the name" },
  },
  {
    name: "a segment is begun before the one before is synced",
    file: APPENDER,
    find: "Promise<Segment> {\n    await this.#syncing.all();\n",
    replace: "Promise<Segment> {\n",
    caughtBy: { file: "durability-crash" },
  },
  {
    name: "a segment's header has not the compacted revision",
    file: APPENDER,
    find: "compactedRevision: this.#compacted,",
    replace: "compactedRevision: active.header.compactedRevision,",
    caughtBy: { file: "compaction", name: "the record of a compaction" },
  },
  {
    name: "a segment's header has not the reserved revision",
    file: APPENDER,
    find: "reservedRevision: this.#reserved,",
    replace: "reservedRevision: 0,",
    caughtBy: { file: "durability-crash" },
  },
  {
    name: "revisions are handed out before their reservation is synced",
    file: APPENDER,
    find: "note.revision + 1, true);",
    replace: "note.revision + 1, note.kind !== KIND.reserve);",
    caughtBy: { file: "durability-crash" },
  },
  {
    name: "the last reserved revision is handed out",
    file: APPENDER,
    find: "if (revision < this.#reserved) return;",
    replace: "if (revision <= this.#reserved) return;",
    caughtBy: { file: "durability-crash" },
  },
  {
    name: "the directory is not synced after a new file has its name",
    file: DISK,
    find: "    await disk.syncDirectory();\n    file.name = name;",
    replace: "    file.name = name;",
    caughtBy: { file: "crash" },
  },
  {
    name: "a new file has its name before it is synced",
    file: DISK,
    find: "      await file.sync();\n      disk.rename(temporary, name);",
    replace: "      disk.rename(temporary, name);",
    caughtBy: { file: "crash" },
  },
  {
    name: "a put takes what a full disk has kept for deletes",
    file: "src/log/batch.ts",
    find: "if (this.#refusal !== undefined) throw this.#refusal;",
    replace: "",
    caughtBy: { file: "full-disk" },
  },
  {
    name: "the reserve takes the room back that a write was to have",
    file: "src/log/full-disk.ts",
    find: "if (!this.#isMissing || this.#isTrying) return false;",
    replace: "if (!this.#isMissing) return false;",
    caughtBy: { file: "full-disk", name: "has the room that is made for it" },
  },
  {
    name: "a full disk does not give up its reserve",
    file: "src/log/full-disk.ts",
    find: "made = (await reserve?.giveUp()) ?? false;",
    replace: "made = reserve === null;",
    caughtBy: { file: "full-disk-random" },
  },
  {
    name: "a segment that begins with a compaction has not the newest revision",
    file: APPENDER,
    find: "note.revision + 1, true);",
    replace: "note.revision, true);",
    caughtBy: { file: "merge" },
  },
  {
    name: "a stop in order leaves revisions reserved",
    file: APPENDER,
    find: "      await this.#endReservation();\n",
    replace: "",
    caughtBy: { file: "voids", name: "a stop in order" },
  },
  {
    name: "a write of which nobody knows is said not to be applied",
    file: "src/log/commit-loop.ts",
    find: "for (const queued of waiting) queued.reject(failed);",
    replace: "for (const queued of waiting) queued.reject(stopped(failed));",
    caughtBy: { file: "faults", name: "leaves the outcome open" },
  },
  {
    name: "an entry that was forgotten while a batch syncs is set all the same",
    file: "src/log/applying.ts",
    find: " && index.isEntryOf(found, bytes, keyStart, keyEnd)",
    replace: "",
    caughtBy: { file: "many", name: "mixes no keys up" },
  },
];
