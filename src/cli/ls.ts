/** `kv ls`: keys in order, of the whole store, of a prefix or between two keys. */

import { defineCommand } from "citty";
import { entryToJson } from "../json.ts";
import type { Range } from "../keys.ts";
import type { ListedEntry } from "../kv.ts";
import type { CommandHelp } from "./command.ts";
import { connectByFlags, connectionEnvironment, connectionFlags } from "./connection.ts";
import { UsageError } from "./failure.ts";
import { escapeControls, isTerminal, jsonLine, writeOut } from "./output.ts";
import { Table } from "./table.ts";
import { parseInteger } from "./values.ts";

export const command = defineCommand({
  args: {
    prefix: {
      type: "positional",
      required: false,
      description: "only keys that begin with this; all keys when left out",
    },
    start: { type: "string", valueHint: "KEY", description: "only keys from this one on" },
    end: { type: "string", valueHint: "KEY", description: "only keys before this one" },
    limit: { type: "string", valueHint: "N", description: "stop after N keys" },
    null: {
      type: "boolean",
      alias: "0",
      description: "keys with a NUL byte behind each instead of a newline",
    },
    output: {
      type: "enum",
      alias: "o",
      options: ["table", "keys", "json"],
      valueHint: "table|keys|json",
      description: "table (on a terminal), keys (else), or a JSON object a line",
    },
    ...connectionFlags,
  },
  async run({ args }) {
    const range = parseRange(args.prefix, args.start, args.end);
    const limit = args.limit === undefined ? Infinity : parseInteger("--limit", args.limit, 1);
    const print = printer(args.output, args.null === true);
    const client = await connectByFlags(args);
    let gathered: ListedEntry[] = [];
    let bytes = 0;
    for await (const entry of client.list(range, { keys: args.output !== "json", limit })) {
      gathered.push(entry);
      bytes += entry.value?.length ?? 0;
      if (gathered.length < GATHERED_ENTRIES && bytes < GATHERED_BYTES) continue;
      writeOut(print(gathered));
      gathered = [];
      bytes = 0;
    }
    writeOut(print(gathered));
  },
});

export const help: CommandHelp = {
  usage: ["ls [PREFIX] [FLAGS]", "ls --start KEY --end KEY [FLAGS]"],
  environment: connectionEnvironment,
  notes: [
    "Lists every matching key as of one moment, in the order of their bytes. Without a match it",
    "prints nothing and exits 0. With -o json the values are there too; else only keys are fetched.",
  ],
  examples: [
    ["kv ls", "all keys"],
    ["kv ls users/", "the keys of a folder"],
    ["kv ls -o json | jq .key", "entries with their values"],
    ["kv ls -0 tmp/ | xargs -0 kv del", "whatever characters the keys have"],
  ],
};

// --- internal ---

/** Entries, and bytes of their values, after which what is gathered is written. */
const GATHERED_ENTRIES = 1_000;
const GATHERED_BYTES = 1024 * 1024;

function parseRange(
  prefix: string | undefined,
  start: string | undefined,
  end: string | undefined,
): Range {
  if (prefix !== undefined && (start ?? end) !== undefined) {
    throw new UsageError("PREFIX and --start or --end exclude each other");
  }
  if (prefix !== undefined) return { prefix };
  return {
    ...(start === undefined ? undefined : { start }),
    ...(end === undefined ? undefined : { end }),
  };
}

type Printer = (page: readonly ListedEntry[]) => string;

function printer(output: string | undefined, nulls: boolean): Printer {
  if (nulls && output !== undefined && output !== "keys") {
    throw new UsageError(`--null and -o ${output} exclude each other`);
  }
  if (nulls) return (page) => page.map(({ key }) => `${key}\0`).join("");
  const terminal = isTerminal(1);
  if (output === "json")
    return (page) => page.map((entry) => jsonLine(entryToJson(entry))).join("");
  if (output === "table" || (output === undefined && terminal)) return tablePrinter();
  const show = terminal ? escapeControls : String;
  return (page) => page.map(({ key }) => `${show(key)}\n`).join("");
}

function tablePrinter(): Printer {
  const table = new Table(["KEY", "REVISION", "VERSION", "CONTENT TYPE"], ["REVISION", "VERSION"]);
  return (page) =>
    table.format(
      page.map(({ key, revision, version, contentType }) => [
        escapeControls(key),
        String(revision),
        String(version),
        contentType,
      ]),
    );
}
