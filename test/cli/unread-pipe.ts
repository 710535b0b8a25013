/**
 * A pipe for the output of a process that nobody reads at first. The pipes of the platform's own processes
 * will not do: it reads them ahead into its memory.
 */

import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../support/temporary.ts";

export interface UnreadPipe {
  /** The end to write to. Close it once the process has it. */
  readonly end: number;
  /** All that was written and will be, until nobody has the end to write to any more. */
  read(): ReadableStream<Uint8Array<ArrayBuffer>>;
}

export function openUnreadPipe(): UnreadPipe {
  using temporary = temporaryDirectory();
  const path = join(temporary.path, "pipe");
  const { success } = Bun.spawnSync(["mkfifo", path]);
  if (!success) throw new Error("mkfifo failed");
  const source = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const end = openSync(path, constants.O_WRONLY);
  return { end, read: () => Bun.file(source).stream() };
}

export function closeEnd(pipe: UnreadPipe | undefined): void {
  if (pipe !== undefined) closeSync(pipe.end);
}
