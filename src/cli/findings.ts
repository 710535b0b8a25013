/** What a check or a repair of a data directory found, as lines for people. */

import { KvError } from "../errors.ts";
import type { Finding } from "../log/check-report.ts";
import { fileFailure } from "./file-failure.ts";
import { escapeControls, showText } from "./output.ts";

/** A line for each finding; what could move the cursor of a terminal is escaped. */
export async function findingLines(findings: readonly Finding[]): Promise<string[]> {
  const { describeFinding } = await import("../log/check-report.ts");
  return findings.map((finding) => row(finding.severity, escapeControls(describeFinding(finding))));
}

/** A name and what there is to say of it, below each other. */
export function row(name: string, text: string): string {
  return `${name.padEnd(10)}${text}\n`;
}

/** Why a directory cannot be read, in one line. */
export function directoryFailure(error: unknown, directory: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (!(error instanceof KvError) && code === "ENOENT") {
    return new KvError("not_found", `there is no directory ${showText(directory)}`);
  }
  return fileFailure(error, `cannot use ${showText(directory)}`);
}
