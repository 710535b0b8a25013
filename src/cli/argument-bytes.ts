/**
 * Refuses arguments that are no UTF-8. The platform hands them over with U+FFFD in place of each
 * bad byte, so two different keys would become one, and a value would change without a word.
 */

import { decodeUtf8 } from "../text.ts";
import { UsageError } from "./failure.ts";

/** @throws `UsageError` when an argument was given as bytes that are no UTF-8. */
export function checkArgumentBytes(argv: readonly string[]): void {
  // A U+FFFD may also have been typed: only the bytes that the kernel has can tell.
  if (!argv.some((argument) => argument.includes("\ufffd"))) return;
  if (decodeUtf8(commandLineBytes()) !== undefined) return;
  throw new UsageError(
    "an argument is not valid UTF-8; keys are UTF-8, and values of any bytes go through stdin or --file",
  );
}

// --- internal ---

function commandLineBytes(): Uint8Array {
  try {
    return process.getBuiltinModule("node:fs").readFileSync("/proc/self/cmdline");
  } catch {
    return new Uint8Array(0); // Not on Linux: nothing to tell by.
  }
}
