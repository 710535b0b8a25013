/** SIGINT and SIGTERM of a process that has something to finish before it ends. */

export type Stop = "SIGINT" | "SIGTERM";

/** The exit code of a process that a signal ended, as a shell reports it. */
export function signalExitCode(signal: Stop): number {
  return signal === "SIGINT" ? 130 : 143;
}

/** From its making on, these signals no longer end the process; `first` and `second` settle instead. */
export class Signals {
  readonly first: Promise<Stop>;
  readonly second: Promise<Stop>;

  constructor() {
    const arrivals = [Promise.withResolvers<Stop>(), Promise.withResolvers<Stop>()] as const;
    this.first = arrivals[0].promise;
    this.second = arrivals[1].promise;
    let count = 0;
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.removeAllListeners(signal);
      process.on(signal, () => arrivals[Math.min(count++, 1)]!.resolve(signal));
    }
  }
}
