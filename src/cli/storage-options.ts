/** The flags of `kv serve` about the disk: when a write is answered, and how much is kept. */

import type { ArgsDef } from "citty";
import { parseDurability, type Durability } from "../durability.ts";
import { KvError } from "../errors.ts";
import {
  CHECKPOINT_BYTES_MIN,
  HISTORY_BYTES_DEFAULT,
  HISTORY_MS_DEFAULT,
  MERGE_BYTES_MIN,
  RESERVE_BYTES,
  SEGMENT_BYTES_MAX,
} from "../limits.ts";
import { quote } from "../text.ts";
import { durationFromText } from "../ttl.ts";
import { UsageError } from "./failure.ts";
import { environment, parseBytes } from "./values.ts";

export const storageFlags = {
  durability: {
    type: "string",
    valueHint: "MODE",
    description:
      "sync (the default): a write is on disk when it is answered; interval:<ms>: a power cut may " +
      "lose the last milliseconds; os: it may lose any of the newest writes",
  },
  history: {
    type: "string",
    valueHint: "TIME",
    description: "how long changes are kept: 24h by default, 0 for not at all, all for ever",
  },
  "history-bytes": {
    type: "string",
    valueHint: "SIZE",
    description: "how much log is kept for them at most: 1GiB by default, 0, or all for any amount",
  },
  "reserve-bytes": {
    type: "string",
    valueHint: "SIZE",
    description:
      "disk space set aside for deletions when the disk is full: 64MiB by default, a quarter of " +
      "the disk at most, 0 for none",
  },
  "segment-bytes": {
    type: "string",
    valueHint: "SIZE",
    description: "size of the files of the log: 128MiB by default; for tests and small disks",
  },
} as const satisfies ArgsDef;

export const storageEnvironment = {
  KV_DURABILITY: "as --durability",
  KV_HISTORY: "as --history",
  KV_HISTORY_BYTES: "as --history-bytes",
  KV_RESERVE_BYTES: "as --reserve-bytes",
  KV_SEGMENT_BYTES: "as --segment-bytes",
} as const;

/** What the engine is opened with beside its directory. */
export interface StorageOptions {
  readonly durability: Durability;
  readonly history: { readonly milliseconds?: number; readonly bytes?: number };
  readonly reserveBytes: number;
  readonly segmentBytesMax: number;
  readonly mergeBytesMin: number;
  readonly checkpointBytesMin: number;
}

type StorageArguments = { readonly [Name in keyof typeof storageFlags]?: string | undefined };

/** @throws `UsageError`. */
export function parseStorageOptions(args: StorageArguments): StorageOptions {
  const reserve = setting(args, "reserve-bytes");
  const segment = setting(args, "segment-bytes");
  const segmentBytesMax =
    segment === undefined
      ? SEGMENT_BYTES_MAX
      : parseBytes(segment.source, segment.text, SEGMENT_BYTES_LEAST, SEGMENT_BYTES_MOST);
  return {
    durability: parseMode(setting(args, "durability")),
    history: parseHistory(setting(args, "history"), setting(args, "history-bytes")),
    reserveBytes:
      reserve === undefined ? RESERVE_BYTES : parseBytes(reserve.source, reserve.text, 0),
    segmentBytesMax,
    // Where files are small, so is what is worth the work.
    mergeBytesMin: Math.min(MERGE_BYTES_MIN, segmentBytesMax),
    checkpointBytesMin: Math.min(CHECKPOINT_BYTES_MIN, segmentBytesMax),
  };
}

/** What an operator should know of the mode; nothing where an answer means "on disk". */
export function durabilityWarning(durability: Durability): string | undefined {
  switch (durability.mode) {
    case "sync":
      return undefined;
    case "interval":
      return (
        `durability is interval:${durability.ms}: writes are answered before they are on disk, and ` +
        `a power cut may lose the newest ones, normally up to ${durability.ms} ms of them`
      );
    case "os":
      return (
        "durability is os: writes are answered before they are on disk, and a power cut may lose " +
        "any of the newest ones"
      );
  }
}

// --- internal ---

/** Bytes that `--segment-bytes` may be; offsets in a file have 32 bits. */
const SEGMENT_BYTES_LEAST = 64 * 1024;
const SEGMENT_BYTES_MOST = 1024 ** 3;

/** The word for no bound. */
const ALL = "all";

/** A text, and the flag or the variable that it came from. */
interface Setting {
  readonly source: string;
  readonly text: string;
}

function setting(args: StorageArguments, name: keyof typeof storageFlags): Setting | undefined {
  const given = args[name];
  if (given !== undefined) return { source: `--${name}`, text: given };
  const source = `KV_${name.toUpperCase().replace("-", "_")}`;
  const text = environment(source);
  return text === undefined ? undefined : { source, text };
}

function parseMode(given: Setting | undefined): Durability {
  try {
    return parseDurability(given?.text ?? "sync");
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
    throw new UsageError(
      `${given?.source} cannot be ${quote(given?.text ?? "")}; it takes sync, os, or ` +
        "interval:<ms> with 1 to 60000 milliseconds, as in interval:100",
    );
  }
}

/** Whoever keeps changes for ever means all of them, unless their bytes are bounded as well. */
function parseHistory(
  time: Setting | undefined,
  size: Setting | undefined,
): StorageOptions["history"] {
  const milliseconds = time === undefined ? HISTORY_MS_DEFAULT : parseHistoryTime(time);
  const bytesDefault = milliseconds === undefined ? undefined : HISTORY_BYTES_DEFAULT;
  const bytes = size === undefined ? bytesDefault : parseHistoryBytes(size);
  return {
    ...(milliseconds === undefined ? undefined : { milliseconds }),
    ...(bytes === undefined ? undefined : { bytes }),
  };
}

function parseHistoryTime({ source, text }: Setting): number | undefined {
  if (text === ALL) return undefined;
  if (text === "0") return 0;
  const milliseconds = durationFromText(text);
  if (milliseconds !== undefined) return milliseconds;
  throw new UsageError(
    `${source} must be a time such as 30m, 24h or 7d, 0 for no history, or all for ever, ` +
      `not ${quote(text)}`,
  );
}

function parseHistoryBytes({ source, text }: Setting): number | undefined {
  if (text === ALL) return undefined;
  try {
    return parseBytes(source, text, 0);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${error.message}; or all for any amount`);
  }
}
