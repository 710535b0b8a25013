/** What an error of the system about a file means, in words. */

import { KvError } from "../errors.ts";
import { exitCodeOf, FAILED } from "./exit-codes.ts";
import { ClosedOutput, Failure, UsageError } from "./failure.ts";

/** `error` as a `Failure` that begins with `what`; what does not come from the system stays. */
export function fileFailure(error: unknown, what: string): unknown {
  if (error instanceof KvError || error instanceof Failure) return error;
  if (error instanceof UsageError || error instanceof ClosedOutput) return error;
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  if (code === undefined) return error;
  const isFull = code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG";
  return new Failure(
    `${what}: ${REASONS[code] ?? message}`,
    isFull ? exitCodeOf("storage_full") : FAILED,
  );
}

// --- internal ---

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or directory",
  ENOTDIR: "a part of the path is no directory",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "it is a directory",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file would be larger than is allowed",
  EBADF: "it is closed",
};
