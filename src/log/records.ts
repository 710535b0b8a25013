/** What a record of the log says of its key. */

import type { PutEvent } from "../kv.ts";
import { decodeUtf8 } from "../text.ts";
import { recordContentType, recordKey, recordValue } from "./format.ts";
import { damage, type ScannedRecord } from "./segment.ts";

/** The key of a record. @throws `internal` when it is no UTF-8. */
export function keyOf(record: ScannedRecord): string {
  const { header } = record;
  const key = soundKeyOf(record);
  if (key === undefined) throw damage(`segment ${header.segment}`, header.offset, "a bad key");
  return key;
}

/** The key of a record; `undefined` when it is no UTF-8. */
export function soundKeyOf({ header, bytes, at }: ScannedRecord): string | undefined {
  return decodeUtf8(recordKey(bytes, at, header));
}

/** The entry that a put's record holds, its value copied. */
export function entryOf(key: string, { header, bytes, at }: ScannedRecord): Omit<PutEvent, "type"> {
  return {
    key,
    value: recordValue(bytes, at, header).slice(),
    contentType: recordContentType(bytes, at, header),
    revision: header.revision,
    createRevision: header.createRevision,
    version: header.version,
    ...(header.deadline === 0 ? undefined : { expiresAt: header.deadline }),
  };
}
