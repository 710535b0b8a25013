/** A copy of the store as its bytes come. Whether it is whole, only its reader can tell. */

import { KvError } from "../errors.ts";
import type { SnapshotOptions } from "../kv.ts";
import { PATHS, SNAPSHOT_TYPE } from "../protocol.ts";
import type { HttpStream, HttpTransport, RequestOptions } from "./http-transport.ts";

/**
 * Streams a copy; stopping the loop lets go of the connection. `timeoutMs` is for the beginning,
 * and for each wait in between.
 * @throws at a pull: `compacted` and `invalid_argument` for a `since` that the store cannot serve,
 * `too_many_requests`, `unsupported`; `unavailable` when the connection breaks or stalls.
 */
export async function* getSnapshot(
  transport: HttpTransport,
  { since, signal, timeoutMs }: SnapshotOptions & RequestOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const query = since === undefined ? "" : `?since=${since}`;
  const path = `${PATHS.snapshot}${query}`;
  const stream = await transport.run(() =>
    transport.stream(path, { signal, timeoutMs }, SNAPSHOT_TYPE),
  );
  try {
    for (;;) {
      const piece = await readInTime(stream, timeoutMs ?? transport.timeoutMs, transport.url.http);
      if (piece === undefined) return;
      yield piece;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    stream.cancel();
  }
}

// --- internal ---

/** The server always has more to say: a silence is a connection whose other end is gone. */
async function readInTime(
  stream: HttpStream,
  timeoutMs: number,
  url: string,
): Promise<Uint8Array | undefined> {
  let timedOut = false;
  const cut = (): void => {
    timedOut = true;
    stream.cancel();
  };
  // A timer beyond 2^31 ms would fire at once.
  const timer = timeoutMs >= 2 ** 31 ? undefined : setTimeout(cut, timeoutMs);
  try {
    return await stream.read();
  } catch (error) {
    if (!timedOut) throw error;
    const message = `the copy from ${url} stalled for ${timeoutMs / 1000} s`;
    throw new KvError("unavailable", message, {}, error);
  } finally {
    clearTimeout(timer);
  }
}
