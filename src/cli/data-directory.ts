/** The directory that `kv serve` keeps its data in, and what to say when the start fails. */

import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { KvError } from "../errors.ts";
import { Failure } from "./failure.ts";
import { showText } from "./output.ts";

/**
 * Checks that this user may use the directory. One that is not there is left to the store to make,
 * which syncs its name too. @throws errors of the system.
 */
export function checkDirectory(directory: string): void {
  const there = statSync(directory, { throwIfNoEntry: false });
  if (there?.isDirectory() !== true) return;
  accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
}

/** Is nothing there that a start would not make? */
export function isNew(directory: string): boolean {
  try {
    return readdirSync(directory).length === 0;
  } catch {
    return true;
  }
}

/** Why the server could not start or go on, in one line. Whatever the cause, it is exit code 1. */
export function serveFailure(error: unknown, directory: string): unknown {
  const data = `the data directory ${showText(directory)}`;
  if (error instanceof KvError) {
    if (error.code !== "internal") return new Failure(error.message);
    const look = `see what is damaged with: kv check ${showText(directory)}`;
    return new Failure(`${data} cannot be opened: ${error.message}; ${look}`);
  }
  const { code, message, path, syscall } = error as NodeJS.ErrnoException;
  // Not from the system: a fault in kv.
  if (code === undefined) return error;
  const what = path === undefined || path === directory ? data : `${showText(path)} in ${data}`;
  const uid = process.getuid?.() ?? 0;
  switch (code) {
    case "EACCES":
    case "EPERM":
      return new Failure(
        syscall === "mkdir"
          ? `user ${uid} may not make ${data}; make it and give it to that user ` +
              `(mkdir and chown ${uid}), or choose another with --data`
          : `user ${uid} may not read and write ${what}; give it to that user ` +
              `(chown -R ${uid}, for a mount on the host's side), or choose another with --data`,
      );
    case "EROFS":
      return new Failure(`${data} is on a read-only file system; choose another with --data`);
    case "ENOTDIR":
    case "EEXIST":
      return new Failure(`${data} is not a directory; choose another with --data`);
    case "ENOSPC":
    case "EDQUOT":
      return new Failure(`no space is left for ${data}; make room and start again`);
    default:
      return new Failure(`${data} cannot be used: ${message}`);
  }
}
