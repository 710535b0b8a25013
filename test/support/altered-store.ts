/** A store as it is, but for some methods that a test puts in front of it. */

import type { Store } from "../../src/kv.ts";

export function altered(store: Store, methods: Partial<Store>): Store {
  const { pin, snapshot } = store;
  return {
    limits: store.limits,
    capabilities: store.capabilities,
    get: (...args) => store.get(...args),
    list: (...args) => store.list(...args),
    history: (...args) => store.history(...args),
    commit: (...args) => store.commit(...args),
    compact: (...args) => store.compact(...args),
    changes: (...args) => store.changes(...args),
    status: () => store.status(),
    ...(pin === undefined ? undefined : { pin: pin.bind(store) }),
    ...(snapshot === undefined ? undefined : { snapshot: snapshot.bind(store) }),
    close: () => store.close(),
    ...methods,
  };
}
