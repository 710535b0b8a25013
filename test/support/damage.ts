/**
 * Opens the files of a damaged directory with the engine, as it is, and says what came of it: a
 * refusal that names its place, or what the store shows. Anything else is a failure.
 */

import { KvError } from "../../src/errors.ts";
import type { Store } from "../../src/kv.ts";
import type { FakeDisk } from "./fake-disk.ts";
import { Refusal } from "./format/bytes.ts";
import { type Files, readLog } from "./format/reader.ts";
import { diskOf, goldenShown } from "./golden-directories.ts";
import { type LogView, viewOfContent } from "./log-view.ts";
import { openOn } from "./logs.ts";

export type Shown = Awaited<ReturnType<typeof goldenShown>>;

export type Outcome =
  | { readonly refused: string; readonly file: string; readonly offset: number | undefined }
  | { readonly refused?: undefined; readonly shown: Shown };

/**
 * Opens the files twice, one after the other on the same disk: both times the same must come of it,
 * and a refusal loses nothing of any file.
 */
export async function outcomeOf(files: Files): Promise<Outcome> {
  const disk = diskOf(files);
  const first = await openOnce(disk);
  if (first.refused !== undefined) expectUntouched(disk, files);
  const second = await openOnce(disk);
  if (!same(first, second)) {
    throw new Error(`first ${inWords(first)}, then ${inWords(second)}`);
  }
  if (disk.openFiles !== 0) throw new Error(`${disk.openFiles} files were left open`);
  return first;
}

/** Opens a disk at a time at which no key is due, whatever part of the log is left. */
export function openTimeless(disk: FakeDisk): Promise<Store> {
  return openOn(disk, { clock: () => 0, timer: () => () => {} });
}

/** What the format's own reader says of the files: the view of them, or where they are damaged. */
export function verdictOf(files: Files): LogView | Refusal {
  try {
    const content = readLog(files);
    // What was reserved and is not there is void from the start on.
    const revision = Math.max(content.revision, content.reserved);
    return viewOfContent({ ...content, revision });
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}

export function same(one: unknown, other: unknown): boolean {
  return Bun.deepEquals(one, other);
}

export function inWords(outcome: Outcome): string {
  if (outcome.refused !== undefined) return `refused: ${outcome.refused}`;
  const { revision, oldest, keys } = outcome.shown;
  return `opened at ${revision}, oldest ${oldest}, with ${keys} keys`;
}

// --- internal ---

async function openOnce(disk: FakeDisk): Promise<Outcome> {
  let store: Store;
  try {
    store = await openTimeless(disk);
  } catch (error) {
    return refusalOf(error);
  }
  const shown = await goldenShown(store);
  await store.close();
  return { shown };
}

/** A refusal is an error of its own, and says where: in which file, and for damage at what offset. */
function refusalOf(error: unknown): Outcome {
  if (!(error instanceof KvError) || error.code !== "internal") {
    throw new Error(`the start failed, but not as a refusal: ${error}`, { cause: error });
  }
  const { message } = error;
  const missing = /^(\S+) is missing, but there is \S+/.exec(message);
  if (missing !== null) return { refused: message, file: missing[1]!, offset: undefined };
  const place = /^(\S+) is damaged at offset (\d+): /.exec(message);
  if (place === null) throw new Error(`a refusal that names no place: ${message}`);
  return { refused: message, file: place[1]!, offset: Number(place[2]) };
}

/** The files are as they were; what was cut from one before the damage was met is kept aside. */
function expectUntouched(disk: FakeDisk, files: Files): void {
  for (const [name, bytes] of files) {
    if (!disk.list().includes(name)) throw new Error(`a refusal removed ${name}`);
    const after = disk.bytes(name);
    if (Buffer.compare(after, bytes) === 0) continue;
    const aside = `${name}.cut-${after.length}`;
    const rest = disk.list().includes(aside) ? disk.bytes(aside) : new Uint8Array(0);
    if (Buffer.compare(Buffer.concat([after, rest]), bytes) !== 0) {
      throw new Error(`a refusal changed ${name}`);
    }
  }
}
