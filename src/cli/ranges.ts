/** Which keys a command is about: those with a prefix, or from one key up to another. */

import type { ArgsDef } from "citty";
import { isEverything, type Range } from "../keys.ts";
import { UsageError } from "./failure.ts";
import { showText } from "./output.ts";

/** The flags of a range by its bounds. */
export const boundFlags = {
  start: { type: "string", valueHint: "KEY", description: "only keys from this one on" },
  end: { type: "string", valueHint: "KEY", description: "only keys before this one" },
} as const satisfies ArgsDef;

interface RangeArguments {
  readonly prefix?: string | undefined;
  readonly start?: string | undefined;
  readonly end?: string | undefined;
}

/**
 * The range of the arguments, every key when there are none. `prefixName` is how the command spells
 * its prefix. @throws `UsageError` for two kinds of range at once.
 */
export function parseRange({ prefix, start, end }: RangeArguments, prefixName: string): Range {
  if (prefix !== undefined && (start ?? end) !== undefined) {
    throw new UsageError(`${prefixName} and --start or --end exclude each other`);
  }
  if (prefix !== undefined) return { prefix };
  return {
    ...(start === undefined ? undefined : { start }),
    ...(end === undefined ? undefined : { end }),
  };
}

/** A range in words: `every key`, `all from a/ on`. */
export function describeRange(range: Range): string {
  if (range.key !== undefined) return showText(range.key);
  if (isEverything(range)) return "every key";
  if (range.prefix !== undefined) return `all that begin with ${showText(range.prefix)}`;
  const { start, end } = range;
  const from = start === undefined ? "" : ` from ${showText(start)} on`;
  return `all${from}${end === undefined ? "" : ` before ${showText(end)}`}`;
}
