/**
 * `GET /v1/snapshot`: a consistent copy of the store as a stream of bytes. Pull-only, as all
 * streams are. It ends whole or with a broken connection, and its last record says that it is
 * whole.
 */

import { KvError } from "../errors.ts";
import type { Status, Store } from "../kv.ts";
import { SNAPSHOT_STREAMS_MAX } from "../limits.ts";
import { HEADERS, PATHS, SNAPSHOT_TYPE } from "../protocol.ts";
import { refuseConditions } from "./conditions.ts";
import { integer } from "./parameters.ts";
import { STORE_ERRORS, defineRoute, type Call, type Route } from "./route.ts";
import { streamBody } from "./stream-body.ts";

export const snapshotRoute: Route = defineRoute({
  method: "GET",
  path: PATHS.snapshot,
  id: "getSnapshot",
  summary: "A consistent copy of the store, made while writes go on",
  description:
    "What kv restore makes a store of: everything that can be read at the store's revision, " +
    "history included, or with since only what was committed above that revision. A copy that was " +
    "cut off can be told from a whole one; kv backup does.",
  parameters: {
    since: integer("Only commits above this revision, for a copy that reaches up to it.", 0),
  },
  answers: {
    200: {
      description: "The copy.",
      headers: {
        [HEADERS.storeRevision]: "The revision up to which the copy reaches: since of the next.",
        [HEADERS.storeId]: "The id of the store.",
        "Content-Disposition": "A name for the file, with the revision in it.",
        "Cache-Control": "no-store.",
        "X-Accel-Buffering": "no: proxies hand the copy on as it comes.",
      },
      body: { description: "The copy, in the format of the log.", type: SNAPSHOT_TYPE },
    },
  },
  errors: [...STORE_ERRORS, "compacted", "too_many_requests", "unsupported"],
  async handle(call, { since }) {
    refuseConditions(call.request.headers, "a copy is of no key that could have conditions");
    const { store, snapshots } = call.context;
    const pieces = openSnapshot(store, since);
    if (snapshots.count >= SNAPSHOT_STREAMS_MAX) throw tooManySnapshots();
    snapshots.count++;
    const end = (): void => {
      snapshots.count--;
      // Lets go of the files, also where a piece is being read.
      void pieces.return?.().catch(call.context.onError);
    };
    try {
      // The copy takes its revision when it is pulled for the first time; the status, asked for in
      // the same turn, says which that is.
      const [status, first] = await Promise.all([store.status(), pieces.next()]);
      const headers = headersOf(status, since);
      if (call.request.method !== "HEAD")
        return new Response(bodyOf(call, first, pieces, end), { headers });
      end();
      return new Response(null, { headers });
    } catch (error) {
      end();
      throw error;
    }
  },
});

// --- internal ---

type Pieces = AsyncIterator<Uint8Array, void>;

function openSnapshot(store: Store, since: number | undefined): Pieces {
  if (store.capabilities.snapshot !== true || store.snapshot === undefined) {
    throw new KvError("unsupported", "the engine of this server makes no backups by itself");
  }
  const copy = store.snapshot(since === undefined ? {} : { since });
  return copy[Symbol.asyncIterator]() as Pieces;
}

function headersOf({ store, revision }: Status, since: number | undefined): Record<string, string> {
  const name = since === undefined ? `kv-${revision}` : `kv-${since}-${revision}`;
  return {
    "Content-Type": SNAPSHOT_TYPE,
    "Content-Disposition": `attachment; filename="${name}.snapshot"`,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    [HEADERS.storeRevision]: String(revision),
    [HEADERS.storeId]: store,
  };
}

function bodyOf(
  call: Call,
  first: IteratorResult<Uint8Array, void>,
  pieces: Pieces,
  ended: () => void,
): ReadableStream {
  let next: IteratorResult<Uint8Array, void> | undefined = first;
  const { stream } = streamBody(call, {
    async next() {
      const piece: IteratorResult<Uint8Array, void> = next ?? (await pieces.next());
      next = undefined;
      return piece.done === true ? undefined : piece.value;
    },
    ended,
  });
  return stream;
}

function tooManySnapshots(): KvError {
  return new KvError(
    "too_many_requests",
    `there are ${SNAPSHOT_STREAMS_MAX} backups being made, the most allowed; try again later`,
    { limit: SNAPSHOT_STREAMS_MAX },
  );
}
