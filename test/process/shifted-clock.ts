/** The clock of a server process as a test sets it: libfaketime, which reads the shift from a file. */

import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export class ShiftedClock {
  /** The variables with which a process has this clock. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #path: string;
  #shiftMs = 0;
  #newest = 0;

  /** `directory`: where the file may lie. */
  constructor(directory: string) {
    this.#path = join(directory, "clock");
    this.environment = {
      LD_PRELOAD: library(),
      FAKETIME_TIMESTAMP_FILE: this.#path,
      FAKETIME_NO_CACHE: "1",
      // The clock that timers go by does not jump in a real system either.
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
    this.shift(0);
  }

  /** What the process reads, in milliseconds since 1970. */
  get now(): number {
    return Date.now() + this.#shiftMs;
  }

  /** The latest that it can have read so far. */
  get newest(): number {
    this.#newest = Math.max(this.#newest, this.now);
    return this.#newest;
  }

  /** Lets it jump: so far ahead of the real one, or behind. */
  shift(milliseconds: number): void {
    this.#newest = this.newest;
    this.#shiftMs = milliseconds;
    const sign = milliseconds < 0 ? "-" : "+";
    // In one step, as it is read all the time.
    writeFileSync(`${this.#path}.new`, `${sign}${(Math.abs(milliseconds) / 1_000).toFixed(3)}\n`);
    renameSync(`${this.#path}.new`, this.#path);
  }
}

/**
 * Removes what the library leaves of a process that was killed: a later one with the same number could
 * not begin.
 */
export function sweepClock(pid: number): void {
  for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`]) {
    rmSync(join("/dev/shm", name), { force: true });
  }
}

// --- internal ---

let found: string | undefined;

/** Where this system has the library. */
function library(): string {
  if (found !== undefined) return found;
  const { stdout, stderr } = Bun.spawnSync(["faketime", "-f", "+0", "env"]);
  const path = /^LD_PRELOAD=(.*)$/m.exec(stdout.toString())?.[1];
  if (path === undefined) throw new Error(`faketime names no library: ${stderr.toString()}`);
  // The variant for programs with threads lies beside it.
  found = path.replace(/libfaketime\.so/, "libfaketimeMT.so");
  return found;
}
