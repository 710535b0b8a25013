/** `kv del`: deletes keys one after the other in the order given, or all keys of a range. */

import { defineCommand } from "citty";
import type { HttpTransport } from "../client/http-transport.ts";
import type { KvDelete } from "../client/index.ts";
import { writeOne } from "../client/single-write.ts";
import { checkKey, checkRange, isEverything, type Range } from "../keys.ts";
import { isAbsence } from "./absent.ts";
import type { ArgumentRules, CommandHelp } from "./command.ts";
import {
  connectByFlags,
  connectionEnvironment,
  connectionFlags,
  transportByFlags,
} from "./connection.ts";
import { NOT_FOUND } from "./exit-codes.ts";
import { UsageError } from "./failure.ts";
import { jsonLine, remark, showText, writeErrorLine, writeOut } from "./output.ts";
import { jsonFlag } from "./output-flag.ts";
import { showCount } from "./preview.ts";
import { boundFlags, parseRange } from "./ranges.ts";
import { parseOptional } from "./values.ts";

export const command = defineCommand({
  args: {
    key: { type: "positional", required: false, description: "the keys to delete, one or more" },
    "if-revision": {
      type: "string",
      valueHint: "N",
      description: "only if the key's revision is N; takes one key",
    },
    prefix: {
      type: "string",
      valueHint: "PREFIX",
      description: "in place of keys: all that begin with this",
    },
    ...boundFlags,
    all: { type: "boolean", description: "in place of keys: every key of the store" },
    yes: { type: "boolean", alias: "y", description: "delete a range without asking first" },
    ...jsonFlag("print the answer as JSON, a line a key, or one for a range"),
    ...connectionFlags,
  },
  async run({ args }) {
    const keys = args._;
    const range = parseDeletedRange(args);
    const ifRevision = parseOptional("--if-revision", args["if-revision"], 1);
    checkCombination(keys, range, args);
    // What cannot be a key is found before the first one is gone.
    for (const key of keys) checkKey(key);
    const json = args.output === "json";
    if (range === undefined) {
      return deleteKeys(transportByFlags(args), keys, { ifRevision }, json);
    }
    checkRange(range);
    const { confirmDeletion, deleteRange } = await import("./delete-range.ts");
    const client = await connectByFlags(args);
    if (args.yes !== true) await confirmDeletion(client, range);
    const { deleted, revision } = await deleteRange(client, range);
    if (json) await writeOut(jsonLine({ deleted, revision }));
    else if (deleted === 0) remark("there was no key to delete");
    else remark(`deleted ${showCount(deleted, "key")} at revision ${revision}`);
    return 0;
  },
});

export const rules: ArgumentRules = { repeats: true };

export const help: CommandHelp = {
  usage: [
    "del KEY… [FLAGS]",
    "del --prefix PREFIX [--yes] [FLAGS]",
    "del --start KEY --end KEY [--yes] [FLAGS]",
    "rm KEY… [FLAGS]",
  ],
  environment: connectionEnvironment,
  notes: [
    "Each key is deleted by itself, in the order given. An absent one is reported, the others are",
    "deleted all the same, and the exit code is 3. Any other failure stops at once.",
    "A range is asked about first when stdin is a terminal. It goes in steps of up to 10,000 keys,",
    "each all or nothing; a failure and Ctrl-C say how many are gone. No key in it is no failure.",
  ],
  examples: [
    ["kv del greeting", "delete a key"],
    ["kv del a b c", "several, each by itself"],
    ["kv del lock --if-revision 43", "only what was seen; exit code 4 when it changed since"],
    ["kv del --prefix sessions/", "a folder, after a question"],
    ["kv del --start log/2024 --end log/2025 --yes", "the keys between two, without one"],
    ["kv del --all", "everything"],
  ],
};

// --- internal ---

interface DeletionArguments {
  readonly prefix?: string | undefined;
  readonly start?: string | undefined;
  readonly end?: string | undefined;
  readonly all?: boolean | undefined;
  readonly yes?: boolean | undefined;
  readonly "if-revision"?: string | undefined;
}

/** The range that is to go; `undefined` when keys are. */
function parseDeletedRange(args: DeletionArguments): Range | undefined {
  const given = (["prefix", "start", "end"] as const).filter((name) => args[name] !== undefined);
  if (given.length === 0) return args.all === true ? {} : undefined;
  const range = parseRange(args, "--prefix");
  if (args.all === true) throw new UsageError(`--${given[0]} and --all exclude each other`);
  if (!isEverything(range)) return range;
  // An empty variable in a script must not delete a store.
  throw new UsageError(
    `--${given[0]} is empty, which is every key; if they all are to go, say --all`,
  );
}

function checkCombination(
  keys: readonly string[],
  range: Range | undefined,
  args: DeletionArguments,
): void {
  const hasRevision = args["if-revision"] !== undefined;
  if (range === undefined) {
    if (keys.length === 0) throw new UsageError("KEY is missing; give it, or --prefix PREFIX");
    if (hasRevision && keys.length > 1) throw new UsageError("--if-revision takes one key");
    if (args.yes === true) throw new UsageError("--yes is for a range; keys are not asked about");
    return;
  }
  if (keys.length > 0) throw new UsageError("KEY and a range exclude each other");
  if (hasRevision) throw new UsageError("--if-revision takes one key, and no range");
}

async function deleteKeys(
  transport: HttpTransport,
  keys: readonly string[],
  condition: { readonly ifRevision: number | undefined },
  json: boolean,
): Promise<number> {
  let absent = 0;
  for (const key of keys) {
    const { deleted, revision } = await deleteOne(transport, key, condition);
    if (deleted === 0) {
      absent += 1;
      writeErrorLine(`kv del: ${showText(key)} is absent`);
    }
    if (json) await writeOut(jsonLine({ key, deleted, revision }));
    else if (deleted > 0) remark(`deleted ${showText(key)} at revision ${revision}`);
  }
  return absent === 0 ? 0 : NOT_FOUND;
}

async function deleteOne(
  transport: HttpTransport,
  key: string,
  condition: { readonly ifRevision: number | undefined },
): Promise<KvDelete> {
  try {
    const { result, revision } = await writeOne(transport, { op: "delete", key }, condition);
    return { deleted: result.deleted, revision };
  } catch (error) {
    if (!isAbsence(error)) throw error;
    return { deleted: 0, revision: error.details.storeRevision ?? 0 };
  }
}
