/** Bugs in how a log is opened after it ended in whatever way. */

import type { Bug } from "./bug.ts";

const RECOVERY = "src/log/recovery.ts";
const TAIL = "src/log/tail.ts";

export const START_BUGS: readonly Bug[] = [
  {
    name: "a start does not sync the directory that it found",
    file: RECOVERY,
    find: "  await disk.syncDirectory();\n  const numbers",
    replace: "  const numbers",
    caughtBy: { file: "faults", name: "makes all names durable" },
  },
  {
    name: "a torn tail is not cut",
    file: TAIL,
    find: "if (tail.wholeEnd < segment.file.size()) await cutAside",
    replace: "if (tail.wholeEnd < 0) await cutAside",
    caughtBy: { file: "recovery", name: "a torn tail" },
  },
  {
    name: "bytes that were cut are not kept",
    file: TAIL,
    find: "  (await withReserve(disk, () => createWhole(disk, name, cut))).close();\n",
    replace: "",
    caughtBy: { file: "recovery", name: "a torn tail" },
  },
  {
    name: "commits that only look written are trusted",
    file: TAIL,
    find: "  if (tail.wholeEnd === tail.syncedEnd) return undefined;\n",
    replace: "  if (tail.wholeEnd >= tail.syncedEnd) return undefined;\n",
    caughtBy: { file: "faults", name: "what only looks written" },
  },
  {
    name: "damage before a later batch is taken for a torn tail",
    file: TAIL,
    find: "if (tail.fault !== undefined && hasBatchStart",
    replace: "if (tail.fault === null && hasBatchStart",
    caughtBy: { file: "recovery", name: "below a later batch" },
  },
  {
    name: "a mark at the end of the log that names another record is believed",
    file: RECOVERY,
    find: "if (isWhole && active.chain !== mark.lastCrc) throw",
    replace: "if (isWhole && active.chain !== active.chain) throw",
    caughtBy: { file: "recovery", name: "another than the mark" },
  },
  {
    name: "the newest revision is not taken from a header",
    file: "src/log/loader.ts",
    find: "    this.#revision = Math.max(this.#revision, nextRevision - 1);\n",
    replace: "",
    caughtBy: { file: "restore", name: "knows the newest revision" },
  },
  {
    name: "revisions that may have been handed out are not voided",
    file: "src/log/engine.ts",
    find: "await voidLost(disk, found, clock, notice);",
    replace: "(voidLost, found);",
    caughtBy: { file: "durability-crash" },
  },
  {
    name: "a void is not synced",
    file: "src/log/voiding.ts",
    find: "    await active.file.sync();\n",
    replace: "",
    caughtBy: { file: "durability-crash" },
  },
  {
    name: "a void ends one revision too early",
    file: "src/log/voiding.ts",
    find: "addNote({ kind: KIND.void, revision, names: reserved })",
    replace: "addNote({ kind: KIND.void, revision, names: reserved - 1 })",
    caughtBy: { file: "durability-crash" },
  },
  {
    name: "a revision that is void can be read",
    file: "src/log/horizon.ts",
    find: "if (within === undefined || revision === within.last) return revision;",
    replace: "if (within !== null) return revision;",
    caughtBy: { file: "voids" },
  },
  {
    name: "bytes that were cut come back, since the cut is not synced",
    file: TAIL,
    find: "  segment.file.truncate(size);\n  await segment.file.sync();",
    replace: "  segment.file.truncate(size);",
    caughtBy: { file: "recovery", name: "a torn tail" },
  },
  {
    name: "damage below the mark is taken for a torn tail",
    file: TAIL,
    find: "const syncedEnd = markedEnd(segment, size, mark);",
    replace: "const syncedEnd = Math.min(markedEnd(segment, size, mark), SEGMENT_HEADER_BYTES);",
    caughtBy: { file: "recovery", name: "a torn tail" },
  },
  {
    name: "a mark in the middle of the log that names another record is believed",
    file: TAIL,
    find: "mark.segment === segment.number && mark.lastCrc !== chain;",
    replace: "mark.segment === segment.number && mark.lastCrc === -chain;",
    caughtBy: { file: "recovery", name: "another than the mark" },
  },
  {
    name: "what was written anew stays where it was, too",
    file: RECOVERY,
    find: "    await cutSealed(disk, sealed, notice);\n",
    replace: "",
    caughtBy: { file: "faults", name: "by the next start" },
  },
  {
    name: "segments that a crash left behind a merge are not removed",
    file: RECOVERY,
    find: "    await removeReplaced(disk, replaced);\n",
    replace: "",
    caughtBy: { file: "merge", name: "broken off" },
  },
];
