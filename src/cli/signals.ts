/** SIGINT and SIGTERM: how they end a command, and how a server gets to finish its work first. */

import { remark } from "./output.ts";

export type Stop = "SIGINT" | "SIGTERM";

/** The exit code of a process that a signal ended, as a shell reports it. */
export function signalExitCode(signal: Stop): number {
  return signal === "SIGINT" ? 130 : 143;
}

/**
 * Calls `stop` at each of these signals, in place of what was to happen before. Without a handler
 * the first process of a container would not end at all: it has no default action for signals.
 */
export function onSignals(stop: (signal: Stop) => void): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.removeAllListeners(signal);
    process.on(signal, () => {
      // A terminal shows ^C where the cursor is; what comes next should begin a line.
      if (signal === "SIGINT") remark("");
      stop(signal);
    });
  }
}

/** From its making on, signals no longer end the process; `first` and `second` settle instead. */
export class Signals {
  readonly first: Promise<Stop>;
  readonly second: Promise<Stop>;

  constructor() {
    const arrivals = [Promise.withResolvers<Stop>(), Promise.withResolvers<Stop>()] as const;
    this.first = arrivals[0].promise;
    this.second = arrivals[1].promise;
    let count = 0;
    onSignals((signal) => arrivals[Math.min(count++, 1)]!.resolve(signal));
  }
}
