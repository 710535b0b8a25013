/** `kv restore`: makes a new store of backups, in an empty directory. Needs no server. */

import { existsSync, statSync } from "node:fs";
import { defineCommand } from "citty";
import type { Restored } from "../log/restore.ts";
import { showBytes } from "../text.ts";
import type { ArgumentRules, CommandHelp } from "./command.ts";
import { dataEnvironment, dataFlag, parseData } from "./data-flag.ts";
import { UsageError } from "./failure.ts";
import { fileFailure } from "./file-failure.ts";
import { readPieces } from "./input.ts";
import { interruptible } from "./interruptible.ts";
import { removeMade } from "./made-directory.ts";
import { isTerminal, jsonLine, showText, writeErrorLine, writeOut } from "./output.ts";
import { jsonFlag } from "./output-flag.ts";
import { showCount } from "./preview.ts";
import { ProgressLine } from "./progress-line.ts";

export const command = defineCommand({
  args: {
    file: {
      type: "positional",
      required: true,
      description: "the full backup, then those that go on from it, in order; - is stdin",
    },
    ...dataFlag("where the store is made: a directory that is new or empty"),
    ...jsonFlag("print what was restored as JSON"),
  },
  async run({ args }) {
    const files = args._;
    const directory = parseData(args.data);
    checkFiles(files);
    return interruptible(async (signal) => {
      const restored = await make(files, directory, signal);
      if (args.output === "json") await writeOut(jsonLine({ directory, ...toJson(restored) }));
      else writeErrorLine(describe(directory, restored));
      return 0;
    });
  },
});

export const rules: ArgumentRules = { repeats: true };

export const help: CommandHelp = {
  usage: ["restore FILE… --data DIRECTORY"],
  environment: dataEnvironment,
  notes: [
    "Makes a store of a full backup and those that were saved after it with --since, in order. Every",
    "byte is checked first. A backup that is broken, cut short, missing or out of order makes",
    "nothing, and neither does Ctrl-C. A directory with anything in it is refused (exit code 4).",
    "",
    "Revisions and history stay. The store has a new id, and its next revision is far above the last",
    "one of the backup: clients of the old store see that it is another one, and begin anew.",
  ],
  examples: [
    [
      "kv restore all.kvbackup --data ./restored",
      "a new store; kv serve --data ./restored runs it",
    ],
    ["kv restore monday.kvbackup tuesday.kvbackup --data new", "with what came later"],
    ["gunzip < all.kvbackup.gz | kv restore - --data new", "from stdin"],
  ],
};

// --- internal ---

function checkFiles(files: readonly string[]): void {
  if (files.includes("")) throw new UsageError("FILE is empty");
  if (files.filter((file) => file === "-").length > 1) {
    throw new UsageError("- stands there twice, and stdin can be read once");
  }
  if (files.includes("-") && isTerminal(0)) {
    throw new UsageError("stdin is a terminal; a backup comes from a file or a pipe");
  }
}

async function make(
  files: readonly string[],
  directory: string,
  signal: AbortSignal,
): Promise<Restored> {
  const of = files.includes("-") ? undefined : sizeOf(files);
  const isNew = !existsSync(directory);
  const [{ restore }, { openDirectory }, { randomBytes }] = await Promise.all([
    import("../log/restore.ts"),
    import("../log/disk.ts"),
    import("node:crypto"),
  ]);
  const progress = new ProgressLine("restoring");
  try {
    return await restore({
      sources: files.map((file) => ({
        name: file === "-" ? "stdin" : showText(file),
        pieces: readPieces(file, signal),
      })),
      disk: openDirectory(directory),
      clock: Date.now,
      random: randomBytes,
      onProgress: ({ bytes }) => progress.update(bytes, of),
      signal,
    });
  } catch (error) {
    if (isNew) await removeMade(directory);
    throw fileFailure(error, `cannot restore into ${showText(directory)}`);
  } finally {
    progress.clear();
  }
}

/** Bytes of all files, which so are known to be there. @throws `Failure`. */
function sizeOf(files: readonly string[]): number {
  let bytes = 0;
  for (const file of files) {
    try {
      bytes += statSync(file).size;
    } catch (error) {
      throw fileFailure(error, `cannot read ${showText(file)}`);
    }
  }
  return bytes;
}

function describe(directory: string, restored: Restored): string {
  const { store, revision, oldest, keys, bytes } = restored;
  const where = showText(directory);
  const what = `${showCount(keys, "key")}, ${showBytes(bytes)}`;
  return (
    `restored revision ${revision} (readable from ${oldest}) as store ${store}: ${what}; ` +
    `run it with: kv serve --data ${where}`
  );
}

function toJson({ store, revision, oldest, keys, bytes, sources }: Restored): object {
  return { store, revision, oldest, keys, bytes, from: sources[0]!.store };
}
