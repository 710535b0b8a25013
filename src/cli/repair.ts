/** `kv check --repair --into`: copies what is sound of a damaged data directory into a new one. */

import { existsSync } from "node:fs";
import type { Repaired } from "../log/repair.ts";
import { showBytes } from "../text.ts";
import { FAILED } from "./exit-codes.ts";
import { directoryFailure, findingLines, row } from "./findings.ts";
import { removeMade } from "./made-directory.ts";
import { jsonLine, showText, writeOut } from "./output.ts";
import { showCount } from "./preview.ts";
import { ProgressLine } from "./progress-line.ts";

export interface RepairRequest {
  /** The damaged directory. */
  readonly directory: string;
  readonly into: string;
  readonly json: boolean;
  readonly signal: AbortSignal;
}

/** Answers the exit code: that of a failure when something is lost. */
export async function repairInto(request: RepairRequest): Promise<number> {
  const { directory, into, json } = request;
  const repaired = await run(request);
  const lost = repaired.findings.some(({ severity }) => severity === "damage");
  if (json) await writeOut(jsonLine({ directory, into, lost, ...repaired }));
  else await writeOut(await describe(into, repaired, lost));
  return lost ? FAILED : 0;
}

// --- internal ---

async function run({ directory, into, signal }: RepairRequest): Promise<Repaired> {
  const [{ repair }, { openDirectory, openExisting }, { randomBytes }] = await Promise.all([
    import("../log/repair.ts"),
    import("../log/disk.ts"),
    import("node:crypto"),
  ]);
  const from = openDamaged(openExisting, directory);
  const isNew = !existsSync(into);
  const progress = new ProgressLine("repairing");
  try {
    return await repair({
      from,
      into: openDirectory(into),
      clock: Date.now,
      random: randomBytes,
      onProgress: ({ bytes, of }) => progress.update(bytes, of),
      signal,
    });
  } catch (error) {
    if (isNew) await removeMade(into);
    throw directoryFailure(error, into);
  } finally {
    progress.clear();
  }
}

function openDamaged<T>(open: (directory: string) => T, directory: string): T {
  try {
    return open(directory);
  } catch (error) {
    throw directoryFailure(error, directory);
  }
}

async function describe(into: string, repaired: Repaired, lost: boolean): Promise<string> {
  const { findings, store, revision, oldest, commits, keys, bytes } = repaired;
  const what = `${showCount(keys, "key")}, ${showCount(commits, "commit")}, ${showBytes(bytes)}`;
  return [
    ...(await findingLines(findings)),
    row("copied", `revision ${revision}, readable from ${oldest}: ${what}`),
    row("store", `${store}, in ${showText(into)}`),
    row("verdict", lost ? "what stands under damage above is lost" : "nothing is lost"),
    row("next", `kv serve --data ${showText(into)}`),
  ].join("");
}
