/** The way of everything from HTTP to the store that may take its time. */

import type { CommitResult, Txn } from "../kv.ts";
import type { Call } from "./route.ts";
import { singleResult } from "./single.ts";

/** Runs a transaction. Throws what the store throws. */
export function commit(call: Call, txn: Txn): Promise<CommitResult> {
  return unlimited(call, () => call.context.store.commit(txn));
}

/** Runs a transaction of one operation, whose failure is that of the request. */
export function commitSingle(call: Call, txn: Txn): Promise<CommitResult> {
  return singleResult(commit(call, txn));
}

/**
 * Meanwhile the connection has no time limit, for a slow disk or a wait is no idle client. Throws
 * what `run` throws.
 */
export async function unlimited<T>(
  { context, request, server }: Call,
  run: () => Promise<T>,
): Promise<T> {
  server.timeout(request, 0);
  try {
    return await run();
  } finally {
    // A limit stays with the connection, also when later requests come on it.
    server.timeout(request, context.idleSeconds);
  }
}
