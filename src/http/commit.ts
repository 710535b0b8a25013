/** The way of every write from HTTP to the store. */

import type { CommitResult, Txn } from "../kv.ts";
import type { Call } from "./route.ts";

/**
 * Runs a transaction. Meanwhile the connection has no time limit, for a slow disk is no idle
 * client. Throws what the store throws.
 */
export async function commit({ context, request, server }: Call, txn: Txn): Promise<CommitResult> {
  server.timeout(request, 0);
  try {
    return await context.store.commit(txn);
  } finally {
    // A limit stays with the connection, also when later requests come on it.
    server.timeout(request, context.idleSeconds);
  }
}
