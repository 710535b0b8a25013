/**
 * Opens the files of a damaged directory with the engine, as it is, and says what came of it: a
 * refusal that names its place, or what the store shows. Anything else is a failure.
 */

import { KvError } from "../../src/errors.ts";
import type { Store } from "../../src/kv.ts";
import type { FakeDisk } from "./fake-disk.ts";
import { readSegmentHead, Refusal } from "./format/bytes.ts";
import { type Files, readLog } from "./format/reader.ts";
import { diskOf, goldenShown } from "./golden-directories.ts";
import { type LogView, viewOfContent, viewOfStore } from "./log-view.ts";
import { openOn } from "./logs.ts";

export type Shown = Awaited<ReturnType<typeof goldenShown>>;

export type Outcome = Refused | { readonly refused?: undefined; readonly shown: Shown };

interface Refused {
  readonly refused: string;
  readonly file: string;
  readonly offset: number | undefined;
}

/**
 * Opens the files twice, one after the other on the same disk: both times the same must come of it,
 * and a refusal loses nothing of any file.
 */
export async function outcomeOf(files: Files): Promise<Outcome> {
  const disk = diskOf(files);
  const first = await openOnce(disk, goldenShown);
  if (first.refused !== undefined) expectUntouched(disk, files);
  // What is deep in the history takes long to look at: once is enough.
  const second = await openOnce(disk, viewOfStore);
  const again = first.refused === undefined ? { shown: viewIn(first.shown) } : first;
  if (!same(again, second)) throw new Error(`${inWords(first)} and then something else`);
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

/** The part of what a store shows that the reader of the format tells too. */
export function viewIn({ store, revision, oldest, keys, commits, entries }: Shown): LogView {
  return { store, revision, oldest, keys, commits, entries };
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

async function openOnce<Seen>(
  disk: FakeDisk,
  look: (store: Store) => Promise<Seen>,
): Promise<{ refused?: undefined; shown: Seen } | Refused> {
  let store: Store;
  try {
    store = await openTimeless(disk);
  } catch (error) {
    return refusalOf(error);
  }
  const shown = await look(store);
  await store.close();
  return { shown };
}

/** A refusal is an error of its own, and says where: in which file, and for damage at what offset. */
function refusalOf(error: unknown): Refused {
  if (!(error instanceof KvError) || error.code !== "internal") {
    throw new Error(`the start failed, but not as a refusal: ${error}`, { cause: error });
  }
  const { message } = error;
  const missing = /^(\S+) is missing, but (?:there is \S+|\S+ is merged)/.exec(message);
  if (missing !== null) return { refused: message, file: missing[1]!, offset: undefined };
  const place = /^(\S+) is damaged at offset (\d+): /.exec(message);
  if (place === null) throw new Error(`a refusal that names no place: ${message}`);
  return { refused: message, file: place[1]!, offset: Number(place[2]) };
}

/**
 * The files are as they were; what was cut from one before the damage was met is kept aside, and only
 * segments for which a merged one stands may be gone.
 */
function expectUntouched(disk: FakeDisk, files: Files): void {
  for (const [name, bytes] of files) {
    if (!disk.list().includes(name)) {
      if (isReplaced(name, files)) continue;
      throw new Error(`a refusal removed ${name}`);
    }
    const after = disk.bytes(name);
    if (Buffer.compare(after, bytes) === 0) continue;
    const aside = `${name}.cut-${after.length}`;
    const rest = disk.list().includes(aside) ? disk.bytes(aside) : new Uint8Array(0);
    if (Buffer.compare(Buffer.concat([after, rest]), bytes) !== 0) {
      throw new Error(`a refusal changed ${name}`);
    }
  }
}

/** Does the header of a merged segment say that it stands for this one? */
function isReplaced(name: string, files: Files): boolean {
  const number = Number(name.slice(0, 10));
  return [...files].some(([file, bytes]) => {
    try {
      const { merged } = readSegmentHead(file, bytes);
      return merged !== undefined && merged.first < number && number <= merged.last;
    } catch {
      return false;
    }
  });
}
