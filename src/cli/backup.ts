/** `kv backup`: saves a consistent copy of the store while the server goes on working. */

import { defineCommand } from "citty";
import type { KvClient } from "../client/index.ts";
import type { SnapshotSummary } from "../log/snapshot-reader.ts";
import { showBytes } from "../text.ts";
import type { CommandHelp } from "./command.ts";
import { connectByFlags, connectionEnvironment, connectionFlags } from "./connection.ts";
import { ClosedOutput, Failure, UsageError } from "./failure.ts";
import { interruptible } from "./interruptible.ts";
import {
  isStdoutClosed,
  isTerminal,
  jsonLine,
  showText,
  writeErrorLine,
  writeOut,
  writeOutLater,
} from "./output.ts";
import { jsonFlag } from "./output-flag.ts";
import { showCount } from "./preview.ts";
import { ProgressLine } from "./progress-line.ts";
import { parseOptional } from "./values.ts";
import { WholeFile } from "./whole-file.ts";

export const command = defineCommand({
  args: {
    file: {
      type: "positional",
      required: true,
      description: "the file to make, or - for stdout",
    },
    since: {
      type: "string",
      valueHint: "N",
      description: "only what came after revision N: that of the backup before",
    },
    force: { type: "boolean", description: "replace a file that is there already" },
    ...jsonFlag("print what was saved as JSON"),
    ...connectionFlags,
  },
  async run({ args }) {
    const { file } = args;
    const since = parseOptional("--since", args.since, 0);
    const json = args.output === "json";
    checkTarget(file, json, args.force === true);
    const client = await connectByFlags(args);
    return interruptible(async (signal) => {
      const options = since === undefined ? { signal } : { since, signal };
      const summary = await save(client, file, args.force === true, options);
      if (json) await writeOut(jsonLine(toJson(file, summary)));
      else writeErrorLine(describe(file, summary));
      return 0;
    });
  },
});

export const help: CommandHelp = {
  usage: ["backup FILE [FLAGS]", "backup - [FLAGS] > FILE"],
  environment: connectionEnvironment,
  notes: [
    "Saves everything that can be read at one revision, history included, while reads and writes go",
    "on. Every byte is checked on the way. FILE is there once it is whole and on disk, not before;",
    "what is cut off, and Ctrl-C, leave nothing behind. A file that is there already is not touched",
    "without --force. Says on stderr up to which revision it reaches.",
    "",
    "With --since N only what came after revision N is saved: give it the revision that the backup",
    "before reached. Restoring takes the full one and all those after it, in order. Exit code 7",
    "when the history after N is forgotten already: make a full one then.",
    "",
    "On stdout nobody can take back what was sent: a failure is an exit code other than 0, and kv",
    "restore refuses what is not whole.",
  ],
  examples: [
    ["kv backup monday.kvbackup", "all of the store"],
    ["kv backup tuesday.kvbackup --since 1234", "what came after revision 1234"],
    ["kv backup - | gzip > all.kvbackup.gz", "through another program"],
    ["kv restore monday.kvbackup tuesday.kvbackup --data new", "a store out of both"],
  ],
};

// --- internal ---

function checkTarget(file: string, json: boolean, force: boolean): void {
  if (file === "") throw new UsageError("FILE is empty");
  if (file !== "-") return;
  if (json) throw new UsageError("-o json and - exclude each other: both would be stdout");
  if (force) throw new UsageError("--force is for a file, and - is stdout");
  if (isStdoutClosed()) throw new Failure("stdout is closed: nothing of a backup would be kept");
  if (isTerminal(1)) throw new UsageError("a backup is no text for a terminal; name a file");
}

/** Where the bytes go. */
interface Target {
  write(bytes: Uint8Array): Promise<void>;
  finish(): Promise<void>;
  abandon(): Promise<void>;
}

async function save(
  client: KvClient,
  file: string,
  force: boolean,
  options: { since?: number; signal: AbortSignal },
): Promise<SnapshotSummary> {
  const { verifySnapshot } = await import("../log/snapshot-reader.ts");
  const target: Target = file === "-" ? STDOUT : await WholeFile.begin(file, force);
  const progress = new ProgressLine("backing up");
  let whole: SnapshotSummary | undefined;
  try {
    let bytes = 0;
    const pieces = verifySnapshot(client.snapshot(options), (summary) => void (whole = summary));
    for await (const piece of pieces) {
      await target.write(piece);
      options.signal.throwIfAborted();
      bytes += piece.length;
      progress.update(bytes);
    }
    await target.finish();
  } catch (error) {
    await target.abandon();
    throw error;
  } finally {
    progress.clear();
  }
  return whole!;
}

const STDOUT: Target = {
  async write(bytes) {
    try {
      await writeOutLater(bytes);
    } catch (error) {
      // Elsewhere that is a quiet end; here somebody may think that all was saved.
      if (!(error instanceof ClosedOutput)) throw error;
      throw new Failure("the reader of stdout went away before the backup was whole");
    }
  },
  finish: () => Promise.resolve(),
  abandon: () => Promise.resolve(),
};

function describe(file: string, { store, since, revision, commits, bytes }: SnapshotSummary) {
  const what = since === undefined ? `up to revision ${revision}` : `from ${since} to ${revision}`;
  const where = file === "-" ? "" : ` in ${showText(file)}`;
  const size = `${showCount(commits, "commit")}, ${showBytes(bytes)}`;
  return `saved store ${store} ${what}${where}: ${size}`;
}

function toJson(file: string, summary: SnapshotSummary): object {
  const { store, since, revision, oldest, commits, bytes, createdAt } = summary;
  const time = new Date(createdAt).toISOString();
  return { file, store, since, revision, oldest, commits, bytes, createdAt: time };
}
