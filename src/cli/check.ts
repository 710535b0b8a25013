/** `kv check`: reads a data directory to its last byte, and says what is wrong with it. */

import { resolve } from "node:path";
import { defineCommand } from "citty";
import { KvError } from "../errors.ts";
import type { CheckReport } from "../log/check-report.ts";
import { showBytes } from "../text.ts";
import type { CommandHelp } from "./command.ts";
import { parseData } from "./data-flag.ts";
import { FAILED } from "./exit-codes.ts";
import { UsageError } from "./failure.ts";
import { directoryFailure, findingLines, row } from "./findings.ts";
import { interruptible } from "./interruptible.ts";
import { jsonLine, showText, writeOut } from "./output.ts";
import { outputFlag } from "./output-flag.ts";
import { showCount } from "./preview.ts";
import { ProgressLine } from "./progress-line.ts";

export const command = defineCommand({
  args: {
    directory: {
      type: "positional",
      required: false,
      description: "the data directory; KV_DATA or ./kv-data when left out",
    },
    repair: { type: "boolean", description: "copy what is sound into the directory of --into" },
    into: {
      type: "string",
      valueHint: "DIRECTORY",
      description: "with --repair: where the copy is made, new or empty",
    },
    ...outputFlag(["json", "table"], "the whole report, or a line for each finding (the default)"),
  },
  async run({ args }) {
    const directory = parseData(args.directory, "DIRECTORY");
    const into = parseInto(directory, args.repair === true, args.into);
    const json = args.output === "json";
    if (into === undefined) return interruptible((signal) => check(directory, json, signal));
    const { repairInto } = await import("./repair.ts");
    return interruptible((signal) => repairInto({ directory, into, json, signal }));
  },
});

export const help: CommandHelp = {
  usage: ["check [DIRECTORY] [FLAGS]", "check [DIRECTORY] --repair --into DIRECTORY [FLAGS]"],
  environment: { KV_DATA: "the data directory, when it is not given" },
  notes: [
    "Reads every byte and changes nothing: checksums, the chain of records, order of revisions, and",
    "whether a server could start. No server may run on the directory; a running one is checked by",
    "kv backup, which reads all of its log too. Exit code 0 when it is sound, 1 when it is damaged.",
    "A note is what a start mends by itself, such as a write that was cut off.",
    "",
    "With --repair a new store is made in another directory of what is sound, and what is lost is",
    "listed: exit code 0 when nothing is, 1 when something is. The damaged directory stays as it is.",
    "The new store has another id and goes on with revisions far above. A backup is better.",
  ],
  examples: [
    ["kv check", "is ./kv-data sound?"],
    ["kv check /var/lib/kv -o json | jq .sound", "in a script"],
    ["kv check ./kv-data --repair --into ./rescued", "save what can be saved"],
  ],
};

// --- internal ---

function parseInto(directory: string, repair: boolean, into: string | undefined) {
  if (into === undefined) {
    if (repair) throw new UsageError("--repair needs --into, the directory to copy into");
    return undefined;
  }
  if (!repair) throw new UsageError("--into is for --repair");
  if (into === "") throw new UsageError("--into is empty");
  const path = resolve(into);
  if (path === directory || path.startsWith(`${directory}/`)) {
    throw new UsageError("--into is in the damaged directory; choose one beside it");
  }
  return path;
}

async function check(directory: string, json: boolean, signal: AbortSignal): Promise<number> {
  const report = await read(directory, signal);
  if (json) await writeOut(jsonLine({ directory, ...report }));
  else await writeOut(await describe(directory, report));
  return report.sound ? 0 : FAILED;
}

async function read(directory: string, signal: AbortSignal): Promise<CheckReport> {
  const [{ checkLog }, { openExisting }] = await Promise.all([
    import("../log/check.ts"),
    import("../log/disk.ts"),
  ]);
  const progress = new ProgressLine("checking");
  const onProgress = ({ bytes, of }: { bytes: number; of: number }) => progress.update(bytes, of);
  try {
    return await checkLog({ disk: openExisting(directory), signal, onProgress });
  } catch (error) {
    if (error instanceof KvError && error.code === "conflict") throw inUse(directory);
    throw directoryFailure(error, directory);
  } finally {
    progress.clear();
  }
}

function inUse(directory: string): KvError {
  const message =
    `a running kv has ${showText(directory)} open; stop it and check again, or read all of its ` +
    "log while it runs with: kv backup - > /dev/null";
  return new KvError("conflict", message);
}

async function describe(directory: string, report: CheckReport): Promise<string> {
  const { sound, findings, store, revision, oldest, keys, segments, records, bytes } = report;
  const log = `${showCount(segments, "segment")}, ${showCount(records, "record")}`;
  const damaged = findings.filter(({ severity }) => severity === "damage").length;
  const verdict = sound
    ? "sound"
    : `damaged in ${showCount(damaged, "place")}; a backup is the best way back, else: ` +
      `kv check ${showText(directory)} --repair --into NEW`;
  return [
    row("directory", showText(directory)),
    row("store", store ?? "unknown"),
    row("revision", `${revision}, readable from ${oldest}`),
    row("keys", keys === undefined ? "unknown" : String(keys)),
    row("log", `${log}, ${showBytes(bytes)}`),
    ...(await findingLines(findings)),
    row("verdict", verdict),
  ].join("");
}
