/** A store whose next calls fail as they are told to: what cannot be brought about on a healthy one. */

import type { Store } from "../../src/kv.ts";
import { openModel } from "./model-store.ts";

export interface FaultyStore extends Store {
  /** Every call rejects with this until it is taken away. */
  fault: unknown;
  /** Calls wait for this before they go on. */
  gate: Promise<void>;
}

export function openFaulty(inner: Store = openModel()): FaultyStore {
  const store: FaultyStore = {
    limits: inner.limits,
    capabilities: inner.capabilities,
    fault: undefined,
    gate: Promise.resolve(),
    get: (...args) => guarded(() => inner.get(...args)),
    list: (...args) => guarded(() => inner.list(...args)),
    history: (...args) => guarded(() => inner.history(...args)),
    commit: (...args) => guarded(() => inner.commit(...args)),
    compact: (...args) => guarded(() => inner.compact(...args)),
    status: () => guarded(() => inner.status()),
    changes: (...args) => inner.changes(...args),
    async *snapshot(...args) {
      yield* await guarded(() => inner.snapshot?.(...args) ?? []);
    },
    close: () => inner.close(),
  };
  async function guarded<T>(call: () => T | Promise<T>): Promise<T> {
    await store.gate;
    if (store.fault !== undefined) throw store.fault;
    return call();
  }
  return store;
}
