/** The directory that `kv serve` keeps its data in, and what to say when it cannot be used. */

import { accessSync, constants, mkdirSync } from "node:fs";
import { KvError } from "../errors.ts";
import { Failure } from "./failure.ts";
import { showText } from "./output.ts";

/** Makes the directory when it is not there, readable by nobody else. @throws `Failure`. */
export function prepareDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw startFailure(error, directory);
  }
}

/** The failure of a start in one line. Whatever the cause, it ends with exit code 1. */
export function startFailure(error: unknown, directory: string): unknown {
  if (error instanceof KvError) return new Failure(error.message);
  const { code, path } = error as NodeJS.ErrnoException;
  const where = path === undefined || path === directory ? "" : ` (at ${showText(path)})`;
  const name = `the data directory ${showText(directory)}`;
  switch (code) {
    case "EACCES":
    case "EPERM": {
      const uid = process.getuid?.() ?? 0;
      return new Failure(
        `user ${uid} may not read and write ${name}${where}; ` +
          `run "chown -R ${uid} DIRECTORY" on it, or choose another with --data`,
      );
    }
    case "EROFS":
      return new Failure(
        `${name}${where} is on a read-only file system; choose another with --data`,
      );
    case "ENOTDIR":
    case "EEXIST":
      return new Failure(`${name}${where} is not a directory; choose another with --data`);
    case "ENOSPC":
    case "EDQUOT":
      return new Failure(`no space is left for ${name}${where}`);
    default:
      return error;
  }
}
