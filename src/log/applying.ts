/** Brings what was written to those parts of the memory that reads look at. */

import type { PendingRecords } from "./encoding.ts";
import type { Expiry } from "./expiry.ts";
import { KIND } from "./format.ts";
import { NO_ENTRY, type KeyIndex } from "./key-index.ts";
import type { ValueCache } from "./value-cache.ts";

/** Makes the records the newest ones of their keys. */
export function applyRecords(
  records: PendingRecords,
  index: KeyIndex,
  cache: ValueCache,
  expiry: Expiry,
): void {
  const { bytes } = records;
  for (let at = 0; at < records.count; at++) {
    if (at % TOUCHED_AHEAD === 0) touch(records, at, index, cache);
    const keyStart = records.keyStart(at);
    const keyEnd = records.keyEnd(at);
    // Most were found when they were evaluated; such an entry may have been forgotten since.
    const found = records.entry(at);
    const isKnown = found !== NO_ENTRY && index.isEntryOf(found, bytes, keyStart, keyEnd);
    const before = isKnown ? found : index.find(bytes, keyStart, keyEnd);
    const deadline = records.deadline(at);
    const deadlineBefore = before === NO_ENTRY ? 0 : index.deadline(before);
    const entry = set(records, at, index, before);
    expiry.change(entry, deadlineBefore, deadline);
    if (records.kind(at) !== KIND.put) cache.remove(entry);
    else cache.put(entry, bytes, records.valueStart(at), records.valueEnd(at));
  }
}

// --- internal ---

/** Records of which entries and values are read ahead together. */
const TOUCHED_AHEAD = 128;

const touched = new Int32Array(TOUCHED_AHEAD);

/** Reads ahead what the next records change in memory. */
function touch(records: PendingRecords, from: number, index: KeyIndex, cache: ValueCache): void {
  const count = Math.min(records.count - from, TOUCHED_AHEAD);
  for (let at = 0; at < count; at++) touched[at] = records.entry(from + at);
  index.touch(touched, count);
  cache.touch(touched, count);
}

/** Sets the entry of a record's key, or a new one where it has none; answers which. */
function set(records: PendingRecords, at: number, index: KeyIndex, before: number): number {
  const { bytes } = records;
  const keyStart = records.keyStart(at);
  const keyEnd = records.keyEnd(at);
  const revision = records.revision(at);
  const createRevision = records.createRevision(at);
  const version = records.version(at);
  const type = records.contentType(at);
  const deadline = records.deadline(at);
  const position = records.position(at);
  const size = records.recordBytes(at);
  if (before === NO_ENTRY) {
    return index.put(
      bytes,
      keyStart,
      keyEnd,
      revision,
      createRevision,
      version,
      type,
      deadline,
      position,
      size,
    );
  }
  index.putEntry(
    before,
    bytes,
    keyStart,
    keyEnd,
    revision,
    createRevision,
    version,
    type,
    deadline,
    position,
    size,
  );
  return before;
}
