/** How a command ends when it does not succeed, beside the `KvError`s of the store. */

import { FAILED } from "./exit-codes.ts";

/** The arguments are wrong; nothing was tried. */
export class UsageError extends Error {}

/** The command failed, and the message says in one line why and what to do. */
export class Failure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = FAILED) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The reader of stdout is gone: the command ends quietly. */
export class ClosedOutput extends Error {}
