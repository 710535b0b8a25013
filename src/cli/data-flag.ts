/** `--data`: the data directory of the commands that work on it themselves. */

import { resolve } from "node:path";
import type { ArgsDef } from "citty";
import { UsageError } from "./failure.ts";
import { environment } from "./values.ts";

export function dataFlag(description: string) {
  return {
    data: { type: "string", valueHint: "DIRECTORY", description },
  } as const satisfies ArgsDef;
}

export const dataEnvironment = { KV_DATA: "as --data" } as const;

/**
 * The absolute path of the data directory; `given` was written as `source`. @throws `UsageError`.
 */
export function parseData(given: string | undefined, source = "--data"): string {
  if (given === "") throw new UsageError(`${source} is empty`);
  return resolve(given ?? environment("KV_DATA") ?? "kv-data");
}
