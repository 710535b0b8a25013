/** The way of everything from HTTP to the store that may take its time. */

import type { CommitResult, Txn } from "../kv.ts";
import type { Call } from "./route.ts";
import { singleFailure } from "./single.ts";

/** Runs a transaction. Throws what the store throws. */
export function commit(call: Call, txn: Txn): Promise<CommitResult> {
  return unlimited(call, () => call.context.store.commit(txn));
}

/**
 * Runs a transaction of one operation, whose failure is that of the request. As `unlimited`, with a
 * promise less: most writes come this way.
 */
export async function commitSingle(
  { context, request, server }: Call,
  txn: Txn,
): Promise<CommitResult> {
  server.timeout(request, 0);
  try {
    return await context.store.commit(txn);
  } catch (error) {
    throw singleFailure(error);
  } finally {
    server.timeout(request, context.idleSeconds);
  }
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
