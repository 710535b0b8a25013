/** What the kernel says of a process: the time it took of the cores, and the memory it holds. */

import { readFileSync } from "node:fs";

/** Milliseconds of a core since its start, of all its threads. */
export function processorMs(pid: number): number {
  return parseProcessorMs(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

/** Bytes of memory that are in use now, as `top` shows them. */
export function residentBytes(pid: number): number {
  return parseResidentBytes(readFileSync(`/proc/${pid}/status`, "utf8"));
}

/** What a command prints on stdout. @throws what it says on stderr when it fails. */
export async function output(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

/** The second field of `/proc/PID/stat` is a name in brackets, which may have any character in it. */
export function parseProcessorMs(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

export function parseResidentBytes(status: string): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error("the kernel does not say what memory is in use");
  return Number(kibibytes) * 1_024;
}

// --- internal ---

/** Linux counts in hundredths of a second for everybody who asks. */
const TICK_MS = 10;
