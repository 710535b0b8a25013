/** What lies in a data directory, as far as it tells how far background work had come. */

import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

export interface DirectorySurvey {
  /** Merged segments, each named so that no other is named alike. */
  readonly merged: readonly string[];
  /** Files that were being made when the process died, by kind. */
  readonly unfinished: readonly ("merge" | "roll" | "CHECKPOINT" | "RESERVE" | "DURABLE")[];
  readonly hasCheckpoint: boolean;
  readonly bytes: number;
}

/** To be called while no process has the store open. */
export function surveyDirectory(directory: string): DirectorySurvey {
  const names = readdirSync(directory);
  const segments = names.filter((name) => /^\d{10}\.log$/.test(name)).sort();
  const active = segments.at(-1) ?? "";
  const merged = segments.flatMap((name) => mergedName(join(directory, name)) ?? []);
  const unfinished = names.flatMap((name) => {
    if (!name.endsWith(".tmp")) return [];
    const whole = name.slice(0, -".tmp".length);
    if (whole === "CHECKPOINT" || whole === "RESERVE" || whole === "DURABLE")
      return [whole] as const;
    return [whole <= active ? "merge" : "roll"] as const;
  });
  const bytes = names.reduce((sum, name) => sum + Bun.file(join(directory, name)).size, 0);
  return { merged, unfinished, hasCheckpoint: names.includes("CHECKPOINT"), bytes };
}

// --- internal ---

/** Offsets in the header of a segment. */
const HEADER_BYTES = 128;
const FLAGS = 68;
const FIRST = 72;
const LAST = 80;
const CREATED = 88;

function mergedName(path: string): string | undefined {
  const header = Buffer.alloc(HEADER_BYTES);
  const descriptor = openSync(path, "r");
  readSync(descriptor, header, 0, HEADER_BYTES, 0);
  closeSync(descriptor);
  if ((header.readUInt32LE(FLAGS) & 1) === 0) return undefined;
  const [first, last] = [header.readBigUInt64LE(FIRST), header.readBigUInt64LE(LAST)];
  return `${first}-${last} of ${header.readBigUInt64LE(CREATED)}`;
}
