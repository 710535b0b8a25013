/** Bugs in checkpoints of the index, and in what history is forgotten. */

import type { Bug } from "./bug.ts";

const LOAD = "src/log/checkpoint-load.ts";
const WRITER = "src/log/checkpoint-writer.ts";

export const UPKEEP_BUGS: readonly Bug[] = [
  {
    name: "what a checkpoint covers is not held against its checksum",
    file: "src/log/content-check.ts",
    find: "if (found !== crc) throw",
    replace: "if (crc !== crc) throw",
    caughtBy: { file: "checkpoint-damage", name: "another way|rotted" },
  },
  {
    name: "a checkpoint of an older state is taken for the newest",
    file: LOAD,
    find: "    segment.takeOver(covered);\n",
    replace: "    segment.takeOver({ ...covered, end });\n",
    caughtBy: { file: "checkpoint-damage", name: "from before many" },
  },
  {
    name: "a checkpoint of another log is believed",
    file: LOAD,
    find: "if (pair.segment.header.crc !== pair.covered.headerCrc) break;",
    replace: "",
    caughtBy: { file: "checkpoint", name: "merged since" },
  },
  {
    name: "the blocks of a checkpoint are not held against their checksums",
    file: "src/log/checkpoint-reader.ts",
    find: 'if (blockCrc(block, this.#crc) !== crc) throw new Unusable("a block fails its checksum");',
    replace: "void blockCrc;",
    caughtBy: { file: "checkpoint-damage", name: "one bit" },
  },
  {
    name: "a checkpoint has its name before it is synced",
    file: WRITER,
    find: "      await file.sync();\n      // Neither",
    replace: "      // Neither",
    caughtBy: { file: "checkpoint-crash" },
  },
  {
    name: "a checkpoint is made of what the log may lose",
    file: WRITER,
    find: "      await syncLog();\n",
    replace: "      void syncLog;\n",
    caughtBy: { file: "checkpoint-crash" },
  },
  {
    name: "a checkpoint is made before the mark is synced",
    file: WRITER,
    find: "      await durable.sync();\n",
    replace: "",
    caughtBy: { file: "checkpoint-crash" },
  },
  {
    name: "what changes while a checkpoint is made is in it",
    file: "src/log/key-index.ts",
    find: "    this.#copy?.note(known);\n",
    replace: "",
    caughtBy: { file: "index-copy" },
  },
  {
    name: "a deletion is forgotten while a checkpoint needs it",
    file: "src/log/key-index.ts",
    find: "    if (this.#copy !== undefined) return false;\n",
    replace: "",
    caughtBy: { file: "index-copy" },
  },
  {
    name: "a pin does not keep history",
    file: "src/log/retention.ts",
    find: "return Math.min(target, pins.lowest());",
    replace: "return Math.max(target, -pins.lowest());",
    caughtBy: { file: "retention" },
  },
  {
    name: "a pin does not keep history on a full disk",
    file: "src/log/retention.ts",
    find: "const halfway = Math.min(revision, pins.lowest());",
    replace: "const halfway = Math.max(revision, -pins.lowest());",
    caughtBy: { file: "full-disk" },
  },
];
