/** Puts every key into a server: in batches where the server takes them, else one by one. */

import { httpAnswerBytes } from "./answers.ts";
import { Batch, FIRST_BYTE, fixedAnswerBytes } from "./batches.ts";
import { SOCKET_PATH } from "./frames.ts";
import type { FillOptions } from "./jobs.ts";
import { scattered } from "./keys.ts";
import { load } from "./load.ts";
import { requestOf } from "./requests.ts";

/** Throws on any answer that is no success. Resolves when all have been answered. */
export async function fill({
  port,
  dialect,
  keys,
}: FillOptions): Promise<{ milliseconds: number }> {
  let taken = 0;
  const next = (): number => scattered(taken++, keys);
  const left = (): number => keys - taken;
  const rest = { port, milliseconds: Infinity, isOver: () => left() === 0 };
  if (dialect === "etcd") {
    const { milliseconds } = await load({
      ...rest,
      connections: CONNECTIONS,
      answerBytes: httpAnswerBytes,
      request: () => Buffer.from(requestOf({ dialect, operation: "put", keys }, next())),
    });
    return { milliseconds };
  }
  if (keys % BATCH !== 0) throw new RangeError(`${keys} keys make no whole batches of ${BATCH}`);
  const batches = Array.from({ length: CONNECTIONS }, () => new Batch(dialect, "put", BATCH));
  const { milliseconds } = await load({
    ...rest,
    // No more connections than batches: each sends one.
    connections: Math.min(BATCH_CONNECTIONS, keys / BATCH),
    ...(dialect === "kv" && { socketPath: SOCKET_PATH }),
    answerBytes: fixedAnswerBytes(batches[0]!.answerBytes, FIRST_BYTE.put[dialect]),
    check: (answer, connection) => batches[connection]!.check(answer),
    request(connection) {
      const batch = batches[connection]!;
      for (let index = 0; index < BATCH; index++) batch.setKey(index, next());
      return batch.bytes;
    },
  });
  return { milliseconds };
}

// --- internal ---

const CONNECTIONS = 64;
const BATCH_CONNECTIONS = 8;
/** Puts in one batch. */
const BATCH = 500;
