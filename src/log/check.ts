/**
 * Checks the log of a data directory: reads every byte of it and changes nothing. What a start would
 * say is found out by a start, whose changes stay in memory.
 */

import type { KvError } from "../errors.ts";
import type { CheckReport, Finding, Progress } from "./check-report.ts";
import type { Disk } from "./disk.ts";
import { OverlayDisk } from "./overlay-disk.ts";
import { recover } from "./recovery.ts";

export interface CheckOptions {
  readonly disk: Disk;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws `conflict` when another process has the store open, `not_found` when there is none,
 * `unavailable` when `signal` aborts; errors of the system as they are.
 */
export async function checkLog({ disk }: CheckOptions): Promise<CheckReport> {
  const overlay = new OverlayDisk(disk, [], () => undefined);
  const findings: Finding[] = [];
  const notice = (what: string): void => void findings.push({ severity: "note", file: "", what });
  const start = {
    disk: overlay,
    clock: Date.now,
    random: (n: number) => new Uint8Array(n),
    notice,
  };
  try {
    const { store, revision, oldest, index, segments } = await recover(start);
    const bytes = segments.reduce((sum, { end }) => sum + end, 0);
    const counts = { keys: index.live, segments: segments.length, records: 0, commits: 0, bytes };
    return { sound: true, findings, store, revision, oldest, ...counts };
  } catch (error) {
    findings.push({ severity: "damage", file: "", what: (error as KvError).message });
    const none = { store: undefined, revision: 0, oldest: 0, keys: undefined };
    return { sound: false, findings, ...none, segments: 0, records: 0, commits: 0, bytes: 0 };
  } finally {
    overlay.release();
  }
}
