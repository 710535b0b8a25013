/** Single operations that can go with others: in a binary frame, or as requests of their own. */

import type { FrameAnswer } from "../binary-answer.ts";
import { STATUS } from "../binary-frame.ts";
import type { KvError } from "../errors.ts";
import type { Entry, PutOperation } from "../kv.ts";
import { MANY } from "../many.ts";
import { encodeUtf8 } from "../text.ts";
import { readable, type KvEntry } from "./entries.ts";
import { unreadable } from "./failures.ts";
import type { HttpTransport } from "./http-transport.ts";
import type { Single } from "./many-run.ts";
import { getEntry } from "./operations.ts";
import type { KvDelete, KvPut } from "./options.ts";
import { writeOne } from "./single-write.ts";

/** The key must be one. */
export function getSingle(transport: HttpTransport, key: string): Single<KvEntry | undefined> {
  return {
    key,
    operation: { kind: MANY.get, key: encodeUtf8(key) },
    read(answer) {
      if (answer.status === STATUS.absent) return undefined;
      if (answer.status !== STATUS.found) return notAsked(transport);
      const { contentType, revision, createRevision, version } = answer;
      // The value's bytes are its own: whoever keeps it must not keep the whole frame.
      const value = answer.value.slice();
      const entry: Entry = { key, value, contentType, revision, createRevision, version };
      return readable({ ...entry, ...expiry(answer) });
    },
    async alone(options) {
      const { entry } = await getEntry(transport, key, options);
      return entry === undefined ? undefined : readable(entry);
    },
  };
}

/** A put without conditions, whose key and limits were checked. */
export function putSingle(
  transport: HttpTransport,
  put: PutOperation & { readonly ttl?: number },
): Single<KvPut> {
  const { key, value, contentType, ttl } = put;
  return {
    key,
    operation: { kind: MANY.put, key: encodeUtf8(key), value, contentType, ttl },
    read(answer) {
      if (answer.status !== STATUS.put) return notAsked(transport);
      const { revision, createRevision, version } = answer;
      return { key, revision, createRevision, version, ...expiry(answer) };
    },
    async alone(options) {
      const { op: _, ...answer } = (await writeOne(transport, put, options)).result;
      return answer;
    },
  };
}

/** A delete without conditions; the key must be one. */
export function deleteSingle(transport: HttpTransport, key: string): Single<KvDelete> {
  return {
    key,
    operation: { kind: MANY.delete, key: encodeUtf8(key) },
    read({ status, revision }) {
      if (status === STATUS.deleted) return { deleted: 1, revision };
      return status === STATUS.absent ? { deleted: 0, revision } : notAsked(transport);
    },
    async alone(options) {
      const { result, revision } = await writeOne(transport, { op: "delete", key }, options);
      return { deleted: result.deleted, revision };
    },
  };
}

// --- internal ---

function expiry({ expiresAt }: FrameAnswer): { expiresAt?: number } {
  return expiresAt === 0 ? {} : { expiresAt };
}

function notAsked({ url }: HttpTransport): KvError {
  return unreadable(url.http, "an answer to something else");
}
