/** How many files the system lets the server have open. */

import { readFileSync } from "node:fs";
import { OPEN_FILES_FEW } from "../limits.ts";

/** What an operator should know where they are few; nothing where that is not known. */
export function openFilesWarning(): string | undefined {
  const most = openFilesMost();
  if (most === undefined || most >= OPEN_FILES_FEW) return undefined;
  return (
    `this process may have ${most} files open, connections included: without any left, new ` +
    "connections wait and writes may be refused; raise the limit (ulimit -n)"
  );
}

// --- internal ---

/** The runtime has raised the limit as far as it may. */
function openFilesMost(): number | undefined {
  try {
    const limits = readFileSync("/proc/self/limits", "latin1");
    const soft = /^Max open files +(\d+) /m.exec(limits)?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
