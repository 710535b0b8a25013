/**
 * Millions of keys and values for benchmarks, made without a string for each; and a log of them, as
 * if each had been put by a request of its own: `bun test/bench/many-keys.ts DIRECTORY KEYS`.
 */

import { randomBytes } from "node:crypto";
import { openDirectory } from "../../src/log/disk.ts";
import {
  contentBytes,
  decodeRecordHeader,
  encodeRecord,
  FLAG_COMMIT_END,
  KIND,
  type RecordHeader,
} from "../../src/log/format.ts";
import { LogWriter } from "../../src/log/log-writer.ts";

export const KEY_BYTES = 16;
export const VALUE_BYTES = 100;

/** Writes the key with a number to `at`: hexadecimal digits, in no order, none twice. */
export function writeKey(into: Uint8Array, at: number, number: number): void {
  const high = mixed(number);
  const low = mixed(number + 0x9e3779b9);
  for (let digit = 0; digit < 8; digit++) {
    into[at + digit] = DIGITS.charCodeAt((high >>> (28 - 4 * digit)) & 15);
    into[at + 8 + digit] = DIGITS.charCodeAt((low >>> (28 - 4 * digit)) & 15);
  }
}

/** The value of the key with a number: bytes that no compression makes fewer of. */
export function valueOf(number: number): Uint8Array {
  const at = mixed(number) % (POOL.length - VALUE_BYTES);
  return POOL.subarray(at, at + VALUE_BYTES);
}

/** Makes the log of a store with that many keys; it has no checkpoint. */
export async function writeLog(directory: string, keys: number): Promise<void> {
  const clock = Date.now;
  const disk = openDirectory(directory);
  const writer = await LogWriter.begin({ disk, clock, random: randomBytes, oldest: 0 });
  const key = new Uint8Array(KEY_BYTES);
  const place = { segment: 0, offset: 0, previousCrc: 0, flags: FLAG_COMMIT_END };
  const time = clock();
  let bytes = new Uint8Array(0);
  for (let number = 0; number < keys; number++) {
    writeKey(key, 0, number);
    const content = {
      kind: KIND.put,
      key,
      contentType: "application/octet-stream",
      value: valueOf(number),
      revision: number + 1,
      previousRevision: 0,
      createRevision: number + 1,
      version: 1,
      time,
      deadline: 0,
    };
    if (bytes.length === 0) bytes = new Uint8Array(contentBytes(content));
    encodeRecord(bytes, 0, content, place);
    const header = decodeRecordHeader(bytes, 0, 0, 0) as RecordHeader;
    await writer.add({ header, bytes, at: 0 }, 0);
  }
  await writer.finish();
}

// --- internal ---

const DIGITS = "0123456789abcdef";
const POOL = Uint8Array.from({ length: 65_536 }, (_, at) => mixed(at) & 0xff);

/** A permutation of the 32-bit integers (MurmurHash3's last step). */
function mixed(number: number): number {
  let hash = number >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

if (import.meta.main) await writeLog(process.argv[2]!, Number(process.argv[3]));
