/** Bugs in how bytes are held against their checksums. */

import type { Bug } from "./bug.ts";

const FORMAT = "src/log/format.ts";

export const FORMAT_BUGS: readonly Bug[] = [
  {
    name: "the checksum of a segment's header is not compared",
    file: FORMAT,
    find: "if (crc !== segmentHeaderCrc(bytes)) return",
    replace: "if (crc !== crc) return",
    caughtBy: { file: "damage-random" },
  },
  {
    name: "the checksum of a record's header is not compared",
    file: FORMAT,
    find: "if (crc32(bytes.subarray(at + 4, at + RECORD_HEADER_BYTES)) !== crc) {",
    replace: "if (crc !== crc) {",
    caughtBy: { file: "damage-random" },
  },
  {
    name: "the checksum of a record's body is not compared",
    file: FORMAT,
    find: "return crc32(body) === header.bodyCrc;",
    replace: "return body.length >= 0;",
    caughtBy: { file: "damage-random" },
  },
  {
    name: "the checksum of a slot of the mark is not compared",
    file: "src/log/slot-format.ts",
    find: "  if (view.getUint32(4, true) !== crc32(bytes.subarray(8, SLOT_BYTES))) return undefined;\n",
    replace: "",
    caughtBy: { file: "durable" },
  },
  {
    name: "records need not follow each other",
    file: "src/log/segment.ts",
    find: "if (previous !== undefined && header.previousCrc !== previous) {",
    replace: "if (previous === null) {",
    caughtBy: { file: "recovery", name: "a fork of the same store" },
  },
  {
    name: "a value that has rotted is served",
    file: "src/log/segment.ts",
    find: "count < bytes || !bodyIsSound(into, 0, header)",
    replace: "count < bytes",
    caughtBy: { file: "recovery", name: "never served as a value" },
  },
  {
    name: "segments need not follow each other",
    file: "src/log/loader.ts",
    find: "if (header.previousCrc !== before.chain || header.previousEnd !== before.end) {",
    replace: "if (header === null) {",
    caughtBy: { file: "recovery", name: "a fork of the same store" },
  },
  {
    name: "a merged segment without its end is believed",
    file: "src/log/loader.ts",
    find: 'if (last === undefined) throw damage(file.name, end, "a merged segment has no end record");',
    replace: "if (last === undefined) return { store: header.store, end, chain };",
    caughtBy: { file: "merge" },
  },
];
