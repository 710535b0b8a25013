/** Watches whose times suit a test. */

import { HttpTransport } from "../../src/client/http-transport.ts";
import type { Change } from "../../src/client/parts.ts";
import { parseServerUrl } from "../../src/client/url.ts";
import type { Watcher } from "../../src/client/watcher.ts";
import { Watches, type WatchesOptions } from "../../src/client/watches.ts";

/** Of the server at `url`: quick to come back, and without a look at what is wrong with it. */
export function quickWatches(url: string, options: WatchesOptions = {}): Watches {
  return new Watches(new HttpTransport(parseServerUrl(url)), {
    backoffMsMin: 1,
    backoffMsMax: 5,
    diagnose: async (error) => error,
    ...options,
  });
}

/** The changes that come with the next pull. @throws at the end of the watch. */
export async function pullChanges(watcher: Watcher): Promise<Change[]> {
  const chunk = await watcher.pull();
  if (chunk === undefined) throw new Error("the watch has ended");
  return chunk.parts.filter((part) => part.type === "change");
}
