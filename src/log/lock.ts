/**
 * The exclusive lock on a data directory, which the system releases when the process dies.
 * It is SQLite's file lock on the empty file `LOCK`: no native code, right on every platform.
 */

import { Database } from "bun:sqlite";
import { closeSync, constants, openSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { KvError } from "../errors.ts";

export interface Lock {
  release(): void;
}

export const LOCK_FILE = "LOCK";

/**
 * @throws `conflict` when this or another process holds the lock, the system's error when the file
 * cannot be made.
 */
export function lockDirectory(directory: string): Lock {
  const path = realpathSync(directory);
  // Closing a second descriptor of the file would release the first one's lock: so it is never
  // opened twice.
  if (held.has(path)) throw inUse(directory);
  const database = openDatabase(path);
  try {
    // Bun's SQLite takes no OFF and says nothing of it; a journal in a file would need room on the
    // disk, and a store on a full one could not be opened.
    database.run("PRAGMA journal_mode=MEMORY");
    database.run("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if ((error as { code?: string }).code === "SQLITE_BUSY") throw inUse(directory);
    throw error;
  }
  held.set(path, database);
  return {
    release() {
      if (!held.delete(path)) return;
      database.run("ROLLBACK");
      database.close();
    },
  };
}

// --- internal ---

/**
 * Directories that this process has locked. Holds the databases too: one that is nowhere referenced
 * is closed by the garbage collector, and its lock is gone.
 */
const held = new Map<string, Database>();

function openDatabase(path: string): Database {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
  try {
    // Made here, for the owner alone and through no link; nobody has a lock to lose by this close.
    closeSync(openSync(join(path, LOCK_FILE), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600));
    return new Database(join(path, LOCK_FILE));
  } catch (error) {
    const { message } = error as Error;
    throw Object.assign(new Error(`cannot open ${join(path, LOCK_FILE)}: ${message}`), {
      code: "EACCES",
    });
  }
}

function inUse(directory: string): KvError {
  return new KvError(
    "conflict",
    `the data directory ${directory} is in use by another kv; stop that one, or choose another with --data`,
  );
}
