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
    const keyStart = records.keyStart(at);
    const keyEnd = records.keyEnd(at);
    const before = index.find(bytes, keyStart, keyEnd);
    const deadlineBefore = before === NO_ENTRY ? 0 : index.deadline(before);
    const positionBefore = before === NO_ENTRY ? -1 : index.position(before);
    const deadline = records.deadline(at);
    const position = records.position(at);
    index.put(
      bytes,
      keyStart,
      keyEnd,
      records.revision(at),
      records.createRevision(at),
      records.version(at),
      records.contentType(at),
      deadline,
      position,
      records.recordBytes(at),
    );
    if (deadline !== 0 && deadline !== deadlineBefore) expiry.add(records.key(at), deadline);
    if (records.kind(at) === KIND.put) {
      const valueStart = records.valueStart(at);
      cache.put(positionBefore, position, bytes, valueStart, records.valueEnd(at));
    } else cache.remove(positionBefore);
  }
}
