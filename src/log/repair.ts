/** Makes a store of what is sound in a damaged data directory, which itself is left as it is. */

import type { CheckReport, Finding, Progress } from "./check-report.ts";
import { checkLog } from "./check.ts";
import type { Disk } from "./disk.ts";

export interface RepairOptions {
  /** The damaged directory; only read. */
  readonly from: Disk;
  /** An empty directory. */
  readonly into: Disk;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Fresh random bytes, for the store id. */
  readonly random: (bytes: number) => Uint8Array;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes after which a segment is sealed. */
  readonly segmentBytesMax?: number;
}

export interface Repaired {
  /** The id of the new store. */
  readonly store: string;
  /** The newest revision that was copied. */
  readonly revision: number;
  readonly oldest: number;
  readonly commits: number;
  readonly keys: number;
  /** Bytes of the new log. */
  readonly bytes: number;
  /** What was found in the damaged one: what is lost stands in those that are damage. */
  readonly findings: readonly Finding[];
}

/**
 * @throws `conflict` when `into` is not empty or one of the two is in use, `not_found` when there is
 * no log in `from`, `unavailable` when `signal` aborts; errors of the system as they are.
 */
export async function repair({ from }: RepairOptions): Promise<Repaired> {
  const report: CheckReport = await checkLog({ disk: from });
  throw new Error(`not yet: ${report.findings.length}`);
}
