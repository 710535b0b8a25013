/**
 * What a success answer to a write means: `sync` = it was covered by an fdatasync;
 * `interval:<ms>` = it survives the death of the process, and a power cut may lose the newest
 * writes, normally up to that many milliseconds of them; `os` = a power cut may lose any suffix.
 */

import { KvError } from "./errors.ts";

export type Durability =
  | { readonly mode: "sync" }
  | { readonly mode: "interval"; readonly ms: number }
  | { readonly mode: "os" };

export const SYNC: Durability = { mode: "sync" };

/** Milliseconds between two syncs, at most. */
export const INTERVAL_MS_MAX = 60_000;

/** Reads `sync`, `os` or `interval:100`. @throws `invalid_argument`. */
export function parseDurability(text: string): Durability {
  if (text === "sync" || text === "os") return { mode: text };
  const ms = Number(/^interval:([1-9]\d{0,5})$/.exec(text)?.[1] ?? 0);
  if (ms >= 1 && ms <= INTERVAL_MS_MAX) return { mode: "interval", ms };
  throw new KvError(
    "invalid_argument",
    `the durability is ${JSON.stringify(text)}; it must be sync, os, or interval:<ms> ` +
      `with 1 to ${INTERVAL_MS_MAX} milliseconds, as in interval:100`,
  );
}

/** The text that `parseDurability` reads. */
export function formatDurability(durability: Durability): string {
  return durability.mode === "interval" ? `interval:${durability.ms}` : durability.mode;
}
