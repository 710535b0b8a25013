/**
 * A log of many keys, as if each had been put by a request of its own, written without a server:
 * `bun test/bench/many-keys.ts DIRECTORY KEYS`. And what many puts more leave when a process is killed.
 */

import { randomBytes } from "node:crypto";
import { encodeUtf8 } from "../../src/text.ts";
import { CHECKPOINT_LOG_RATIO } from "../../src/limits.ts";
import { openDirectory } from "../../src/log/disk.ts";
import { openLog } from "../../src/log/engine.ts";
import {
  contentBytes,
  decodeRecordHeader,
  encodeRecord,
  FLAG_COMMIT_END,
  KIND,
  type RecordHeader,
} from "../../src/log/format.ts";
import { LogWriter } from "../../src/log/log-writer.ts";
import { put } from "../support/stores.ts";
import { KEY_BYTES, keyOf, scattered, valueOf, writeKey } from "./keys.ts";

/** Makes the log of a store with that many keys, a power of ten; it has no checkpoint. */
export async function writeLog(directory: string, keys: number): Promise<void> {
  const disk = openDirectory(directory);
  const writer = await LogWriter.begin({ disk, clock: Date.now, random: randomBytes, oldest: 0 });
  const key = new Uint8Array(KEY_BYTES);
  const value = encodeUtf8(valueOf(0));
  const time = Date.now();
  const place = { segment: 0, offset: 0, previousCrc: 0, flags: FLAG_COMMIT_END };
  let bytes = new Uint8Array(0);
  for (let at = 0; at < keys; at++) {
    const number = scattered(at, keys);
    writeKey(key, 0, number);
    writeKey(value, 0, number);
    const content = {
      kind: KIND.put,
      key,
      contentType: TYPE,
      value,
      revision: at + 1,
      previousRevision: 0,
      createRevision: at + 1,
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

/**
 * Puts keys anew into a store that has a checkpoint of `checkpointBytes`, nearly until the next one
 * would be made; then kills its own process.
 */
async function putAndDie(directory: string, keys: number, checkpointBytes: number): Promise<void> {
  const store = await openLog({ directory });
  const { bytes } = store.status();
  const wanted = bytes + checkpointBytes * CHECKPOINT_LOG_RATIO * NEARLY;
  for (let at = 0; store.status().bytes < wanted; at += COMMIT_KEYS) {
    const numbers = Array.from({ length: COMMIT_KEYS }, (_, of) => scattered(at + of, keys));
    await store.commit({
      checks: [],
      then: numbers.map((number) => put(keyOf(number), valueOf(number), TYPE)),
    });
  }
  process.kill(process.pid, "SIGKILL");
}

// --- internal ---

/** What a PUT without a content type gets. */
const TYPE = "text/plain; charset=utf-8";
const COMMIT_KEYS = 1_000;
/** The share of what makes the next checkpoint due. */
const NEARLY = 0.9;

if (import.meta.main) {
  const [directory, keys, checkpointBytes] = process.argv.slice(2);
  if (checkpointBytes === undefined) await writeLog(directory!, Number(keys));
  else await putAndDie(directory!, Number(keys), Number(checkpointBytes));
}
