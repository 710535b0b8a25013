/** A data directory that a command has made, and that goes again when the command fails. */

import { rmdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";

/** Removes the directory where nothing but the lock file is in it. */
export async function removeMade(directory: string): Promise<void> {
  const { LOCK_FILE } = await import("../log/lock.ts");
  try {
    unlinkSync(join(directory, LOCK_FILE));
    rmdirSync(directory);
  } catch {
    // There is something in it after all, or it was never made.
  }
}
