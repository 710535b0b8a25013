/** A log engine in a directory of its own for one test: `await using log = await temporaryLog()`. */

import { openLog, type LogOptions } from "../../src/log/engine.ts";
import type { Store } from "../../src/kv.ts";
import { temporaryDirectory } from "./temporary.ts";

export interface TemporaryLog extends AsyncDisposable {
  readonly store: Store;
}

export async function temporaryLog(options: Partial<LogOptions> = {}): Promise<TemporaryLog> {
  const directory = temporaryDirectory();
  const store = await openLog({ directory: directory.path, ...options });
  return {
    store,
    async [Symbol.asyncDispose]() {
      await store.close();
      directory.remove();
    },
  };
}
