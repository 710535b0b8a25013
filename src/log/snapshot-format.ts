/**
 * The bytes of a copy of a store that are no records of the log: its header, and the place that
 * records have in it. The layout is in FORMAT.md, and only there. Knows no file and no stream.
 */

import { crc32 } from "./format.ts";

export const SNAPSHOT_VERSION = 1;
export const SNAPSHOT_HEADER_BYTES = 128;

/** Records of a copy carry this as the number of their segment: no segment of a log has it. */
export const SNAPSHOT_SEGMENT = 0;

/** What a copy says of itself before its records. */
export interface SnapshotHeader {
  /** The store id: 32 hexadecimal digits. */
  readonly store: string;
  /** The copy has the commits above this one only; absent when it has all there are. */
  readonly since: number | undefined;
  /** The newest revision of the store when the copy was begun. */
  readonly revision: number;
  /** The oldest readable one then. */
  readonly oldest: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** The checksum of this header: the chain of the records begins with it. */
  readonly crc: number;
}

/** What the header of a record says of its place, when it stands at a byte of a copy. */
export function snapshotOffset(byte: number): number {
  return byte % 2 ** 32;
}

export function encodeSnapshotHeader(header: Omit<SnapshotHeader, "crc">): Uint8Array {
  const bytes = new Uint8Array(SNAPSHOT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(SNAPSHOT_MAGIC, 0);
  view.setUint32(8, SNAPSHOT_VERSION, true);
  bytes.set(Buffer.from(header.store, "hex"), 16);
  view.setUint32(32, header.since === undefined ? 0 : FLAG_SINCE, true);
  view.setBigUint64(40, BigInt(header.since ?? 0), true);
  view.setBigUint64(48, BigInt(header.revision), true);
  view.setBigUint64(56, BigInt(header.oldest), true);
  view.setBigUint64(64, BigInt(header.createdAt), true);
  view.setUint32(12, headerCrc(bytes), true);
  return bytes;
}

/** The header, or in words what is wrong with it. */
export function decodeSnapshotHeader(bytes: Uint8Array): SnapshotHeader | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (SNAPSHOT_MAGIC.some((byte, at) => bytes[at] !== byte)) return "it is no backup of kv";
  const version = view.getUint32(8, true);
  const crc = view.getUint32(12, true);
  if (crc !== headerCrc(bytes)) return "its header fails its checksum";
  if (version !== SNAPSHOT_VERSION) {
    return `its format is version ${version}; this kv reads version ${SNAPSHOT_VERSION}`;
  }
  const flags = view.getUint32(32, true);
  if ((flags & ~FLAG_SINCE) !== 0) return `its flags are ${flags}, which this kv does not know`;
  const isSince = (flags & FLAG_SINCE) !== 0;
  const since = Number(view.getBigUint64(40, true));
  const header = {
    store: Buffer.from(bytes.subarray(16, 32)).toString("hex"),
    since: isSince ? since : undefined,
    revision: Number(view.getBigUint64(48, true)),
    oldest: Number(view.getBigUint64(56, true)),
    createdAt: Number(view.getBigUint64(64, true)),
    crc,
  };
  const { revision, oldest } = header;
  if (oldest > revision || (isSince && (since < oldest || since > revision))) {
    return "the revisions in its header cannot be";
  }
  return header;
}

// --- internal ---

/** Like that of a segment: a transfer that changes line ends or drops a bit shows at once. */
const SNAPSHOT_MAGIC = Uint8Array.of(0x8b, 0x6b, 0x76, 0x73, 0x6e, 0x70, 0x0d, 0x0a);

/** The bit of the flags that says that only commits above a revision are in the copy. */
const FLAG_SINCE = 1;

function headerCrc(bytes: Uint8Array): number {
  return crc32(bytes.subarray(16, SNAPSHOT_HEADER_BYTES), crc32(bytes.subarray(0, 12)));
}
