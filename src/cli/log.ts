/** The server's log: one line an event on stderr, through the one consola of the process. */

import { createConsola, type ConsolaInstance, type LogObject } from "consola/core";
import { hasColors, writeErrorLine } from "./output.ts";

/**
 * Made at the first use. `throttle: 0`, or repeats are swallowed and keep the process alive for a
 * second.
 */
export function log(): ConsolaInstance {
  instance ??= createConsola({ throttle: 0, reporters: [{ log: report }] });
  return instance;
}

// --- internal ---

let instance: ConsolaInstance | undefined;

const LABELS: Readonly<Record<string, string>> = {
  warn: "warning: ",
  error: "error: ",
  fatal: "fatal: ",
};
const COLORS: Readonly<Record<string, number>> = { warn: 33, error: 31, fatal: 31 };

/** Plain lines: what runs the server (a terminal, Docker, systemd) adds the time by itself. */
function report({ type, args }: LogObject): void {
  const color = COLORS[type];
  const text = args.map(String).join(" ");
  writeErrorLine(`${LABELS[type] ?? ""}${text}`, hasColors(2) ? color : undefined);
}
