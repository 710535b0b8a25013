/**
 * Checks the log of a data directory: reads every byte of it and changes nothing. What a start
 * would say of it is found out by a start, whose changes stay in memory: there is one set of rules.
 */

import { isDeepStrictEqual } from "node:util";
import { KvError } from "../errors.ts";
import { REPORTED_KEYS_MAX } from "../limits.ts";
import type { CheckReport, Finding, Progress } from "./check-report.ts";
import { otherFiles } from "./check-files.ts";
import { CHECKPOINT_FILE } from "./checkpoint-format.ts";
import type { Disk } from "./disk.ts";
import { LOCK_FILE } from "./lock.ts";
import { OverlayDisk } from "./overlay-disk.ts";
import { recover, type Recovered } from "./recovery.ts";
import { DamageError } from "./segment.ts";
import { sweepBytes, sweepLog, type SweepResult } from "./sweep.ts";

export interface CheckOptions {
  readonly disk: Disk;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws `conflict` when another process has the store open, `not_found` when there is none,
 * `unavailable` when `signal` aborts; errors of the system as they are.
 */
export async function checkLog(options: CheckOptions): Promise<CheckReport> {
  const unlock = lockToRead(options.disk);
  try {
    return await check(options);
  } finally {
    unlock();
  }
}

/**
 * Keeps a store from being opened while it is read, where that can be done without making a file.
 * @throws `conflict` when another process has it open.
 */
export function lockToRead(disk: Disk): () => void {
  if (!disk.list().includes(LOCK_FILE)) return () => undefined;
  try {
    const lock = disk.lock();
    return () => lock.release();
  } catch (error) {
    if (error instanceof KvError) throw error;
    // Where nothing can be written, nobody has it open to write.
    return () => undefined;
  }
}

// --- internal ---

async function check({ disk, onProgress, signal }: CheckOptions): Promise<CheckReport> {
  const hasCheckpoint = disk.list().includes(CHECKPOINT_FILE);
  const of = (hasCheckpoint ? 3 : 2) * sweepBytes(disk);
  let bytes = 0;
  const onRead = (count: number): void => {
    bytes = Math.min(of, bytes + count);
    onProgress?.({ bytes, of });
  };
  const sweep = await sweepLog({ disk, onRead, signal });
  // Without the checkpoint everything is read; with it, the same must come out.
  const trial = await tryStart(disk, [CHECKPOINT_FILE], onRead);
  const findings = judged(sweep, trial);
  if (hasCheckpoint && trial.recovered !== undefined) {
    findings.push(...compared(trial.recovered, await tryStart(disk, [], onRead)));
  }
  findings.push(...otherFiles(disk));
  onProgress?.({ bytes: of, of });
  const { store, segments, records, commits } = sweep;
  const { revision, oldest } = trial.recovered ?? sweep;
  const keys = trial.recovered?.index.live;
  const sound = findings.every(({ severity }) => severity === "note");
  const counts = { keys, segments, records, commits, bytes: sweep.bytes };
  return { sound, findings, store, revision, oldest, ...counts };
}

/** What came of a start whose changes stayed in memory. */
interface Trial {
  readonly recovered?: Recovered;
  readonly error?: unknown;
  /** What it would have told the operator. */
  readonly notices: readonly string[];
}

async function tryStart(
  disk: Disk,
  hidden: readonly string[],
  onRead: (bytes: number) => void,
): Promise<Trial> {
  const overlay = new OverlayDisk(disk, hidden, onRead);
  const notices: string[] = [];
  const notice = (message: string): void => void notices.push(message);
  try {
    const recovered = await recover({ disk: overlay, clock: Date.now, random: noBytes, notice });
    return { recovered, notices };
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
    return { error, notices };
  } finally {
    overlay.release();
  }
}

function noBytes(count: number): Uint8Array {
  return new Uint8Array(count);
}

/** What a sweep found, in the light of what a start says. */
function judged(sweep: SweepResult, { error, notices }: Trial): Finding[] {
  if (error === undefined) {
    // A start mends what there is, or does not mind it, and says so.
    const swept = sweep.findings.map((finding) => ({ ...finding, severity: "note" as const }));
    return [...swept, ...notices.map(noted)];
  }
  const findings = [...sweep.findings];
  if (sweep.tail !== undefined) findings.push(sweep.tail);
  if (error instanceof DamageError) {
    const { file, offset, what } = error;
    const isKnown = findings.some((known) => {
      return known.severity === "damage" && known.file === file && known.offset === offset;
    });
    if (!isKnown) findings.push({ severity: "damage", file, offset, what });
  } else if (findings.every(({ severity }) => severity === "note")) {
    const { message } = error as Error;
    findings.push({ severity: "damage", file: fileIn(message) ?? "", what: message });
  }
  return findings;
}

/** A line to the operator as a finding, with the place that it names. */
function noted(message: string): Finding {
  const offset = /\boffset (\d+)/.exec(message)?.[1];
  return {
    severity: "note",
    file: fileIn(message) ?? "",
    offset: offset === undefined ? undefined : Number(offset),
    what: `a start would say: ${message}`,
  };
}

function fileIn(message: string): string | undefined {
  return /\d{10}\.log|CHECKPOINT|DURABLE|RESERVE/.exec(message)?.[0];
}

/** Does a start with the checkpoint have the same index as one that reads the whole log? */
function compared(log: Recovered, { recovered, error, notices }: Trial): Finding[] {
  const findings = notices
    .filter((message) => fileIn(message) === CHECKPOINT_FILE)
    .map((message) => noted(message));
  if (recovered === undefined) {
    return [...findings, wrong(`a start with it fails: ${(error as Error).message}`)];
  }
  const isSame =
    recovered.revision === log.revision &&
    recovered.oldest === log.oldest &&
    isDeepStrictEqual(readableVoids(recovered), readableVoids(log)) &&
    recovered.index.live === log.index.live;
  if (!isSame) findings.push(wrong("it does not say what the log says"));
  const keys: string[] = [];
  for (const [key, newest] of log.index.all()) {
    if (!isDeepStrictEqual(recovered.index.get(key), newest)) keys.push(key);
    if (keys.length === REPORTED_KEYS_MAX) break;
  }
  if (keys.length > 0) findings.push({ ...wrong("keys are not as in the log"), keys });
  return findings;
}

function wrong(what: string): Finding {
  return { severity: "damage", file: CHECKPOINT_FILE, what };
}

/** Those that matter: below the oldest readable revision nobody asks. */
function readableVoids({ voids, oldest }: Recovered) {
  return voids.filter(({ last }) => last > oldest);
}
