/** Bugs in copies of a store, and in stores that are made of them. */

import type { Bug } from "./bug.ts";

const PARSER = "src/log/snapshot-parser.ts";
const WRITER = "src/log/log-writer.ts";

export const COPY_BUGS: readonly Bug[] = [
  {
    name: "a copy without its end is taken for whole",
    file: PARSER,
    find: "if (!this.#ended || this.#header === undefined) {",
    replace: "if (this.#header === undefined) {",
    caughtBy: { file: "snapshot-broken" },
  },
  {
    name: "the records of a copy are not counted",
    file: PARSER,
    find: "createRevision !== this.#records || version",
    replace: "version",
    caughtBy: { file: "snapshot-broken" },
  },
  {
    name: "the records of a copy need not follow each other",
    file: PARSER,
    find: "if (header.previousCrc !== this.#chain) {",
    replace: "if (header.previousCrc < 0) {",
    caughtBy: { file: "snapshot-broken" },
  },
  {
    name: "a copy has what is written and not yet durable",
    file: "src/log/snapshot.ts",
    find: "isPast = isChange(record.header.kind) && record.header.revision > this.#revision;",
    replace: "isPast = isChange(record.header.kind) && record.header.revision < 0;",
    caughtBy: { file: "snapshot" },
  },
  {
    name: "a slow copy keeps the room of replaced segments for ever",
    file: "src/log/copies.ts",
    find: "const isLong = clock() - since > PIN_MS_MAX;",
    replace: "const isLong = clock() - since > PIN_MS_MAX * 1_000;",
    caughtBy: { file: "slow-copies" },
  },
  {
    name: "a slow copy keeps room from a full disk",
    file: "src/log/copies.ts",
    find: "if (!isLong && !isFull()) return undefined;",
    replace: "if (!isLong) return undefined;",
    caughtBy: { file: "slow-copies" },
  },
  {
    name: "a store can be opened before its restore is complete",
    file: WRITER,
    find: "createWhole(disk, DURABLE_FILE, durableContent(FIRST_MARK))",
    replace: "createWhole(disk, DURABLE_FILE, durableContent(FIRST_MARK).fill(0))",
    caughtBy: { file: "restore" },
  },
  {
    name: "a restored store has its names before its mark is synced",
    file: WRITER,
    find: "    await this.#durable.sync();\n    this.#durable.close();",
    replace: "    this.#durable.close();",
    caughtBy: { file: "restore" },
  },
  {
    name: "a restored store hands out revisions that the copied one may have used",
    file: WRITER,
    find: "    await this.addVoid(Math.max(this.#revision, highest) + RESTORE_VOID_REVISIONS);\n",
    replace: "    void [highest, RESTORE_VOID_REVISIONS];\n",
    caughtBy: { file: "restore" },
  },
  {
    name: "copies are restored that do not follow each other",
    file: "src/log/restore.ts",
    find: "if (since !== before.revision) {",
    replace: "if (since > before.revision) {",
    caughtBy: { file: "restore" },
  },
  {
    name: "the names of a restored store are not synced",
    file: WRITER,
    find: "segmentName(number));\n    }\n    await disk.syncDirectory();\n",
    replace: "segmentName(number));\n    }\n",
    caughtBy: { file: "restore", name: "a crash at any call" },
  },
];
