/** What went wrong, as one line on stderr and an exit code. No stack trace, whatever was thrown. */

import { KvError } from "../errors.ts";
import { exitCodeOf, FAILED, USAGE } from "./exit-codes.ts";
import { ClosedOutput, Failure, UsageError } from "./failure.ts";
import { writeErrorLine } from "./output.ts";

/** Says why `command` failed and answers the exit code. A closed stdout is quiet and no failure. */
export function reportFailure(error: unknown, command?: string): number {
  const name = command === undefined ? "kv" : `kv ${command}`;
  if (error instanceof UsageError) {
    writeErrorLine(`${name}: ${error.message} (see: ${name} --help)`);
    return USAGE;
  }
  if (error instanceof Failure) {
    writeErrorLine(`${name}: ${error.message}`);
    return error.exitCode;
  }
  if (error instanceof KvError) {
    writeErrorLine(`${name}: ${error.message}`);
    return exitCodeOf(error.code);
  }
  return reportUnexpected(error);
}

/** As `reportFailure`, for what nobody expected: a fault in kv, or of the machine. */
export function reportUnexpected(error: unknown): number {
  if (error instanceof ClosedOutput) return 0;
  const message = error instanceof Error ? error.message : String(error);
  writeErrorLine(`kv: unexpected error: ${message}`);
  return FAILED;
}
