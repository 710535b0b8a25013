/** `kv ls`: keys in order, of the whole store, of a prefix or between two keys. */

import { defineCommand } from "citty";
import { entryToJson } from "../json.ts";
import type { CommandHelp } from "./command.ts";
import {
  connectByFlags,
  connectionEnvironment,
  connectionFlags,
  transportByFlags,
} from "./connection.ts";
import { UsageError } from "./failure.ts";
import { isFolder, listRows, type ListRow } from "./list-rows.ts";
import { escapeControls, isTerminal, jsonLine, writeOut } from "./output.ts";
import { outputFlag } from "./output-flag.ts";
import { writePages } from "./pages.ts";
import { boundFlags, parseRange } from "./ranges.ts";
import { parseOptional } from "./values.ts";

export const command = defineCommand({
  args: {
    prefix: {
      type: "positional",
      required: false,
      description: "only keys that begin with this; all keys when left out",
    },
    ...boundFlags,
    limit: { type: "string", valueHint: "N", description: "stop after N keys and folders" },
    reverse: { type: "boolean", description: "from the last key to the first" },
    count: { type: "boolean", description: "only the number of keys" },
    delimiter: {
      type: "string",
      valueHint: "TEXT",
      description: "show keys that have it behind the prefix as one folder",
    },
    revision: { type: "string", valueHint: "N", description: "what was there at revision N" },
    keys: { type: "boolean", description: "leave the values out of -o json" },
    null: {
      type: "boolean",
      alias: "0",
      description: "keys with a NUL byte behind each instead of a newline",
    },
    ...outputFlag(
      ["raw", "json", "table"],
      "a key a line, a JSON object a line, or a table (on a terminal)",
    ),
    ...connectionFlags,
  },
  async run({ args }) {
    const range = parseRange(args, "PREFIX");
    const limit = parseOptional("--limit", args.limit, 1);
    const revision = parseOptional("--revision", args.revision, 0);
    if (args.count === true) {
      checkCount(args);
      const transport = transportByFlags(args);
      const { listPage } = await import("../client/listing.ts");
      const asked = revision === undefined ? undefined : { revision };
      const page = await listPage(transport, range, { count: true, ...asked });
      const answer = { revision: page.revision, count: page.count };
      return writeOut(args.output === "json" ? jsonLine(answer) : `${page.count}\n`);
    }
    if (args.delimiter === "") throw new UsageError("--delimiter is empty");
    const output = outputOf(args.output, args.null === true);
    const { delimiter, reverse } = args;
    const keys = output !== "json" || args.keys === true;
    const print = await printer(output);
    const client = await connectByFlags(args);
    await writePages(listRows(client, range, { limit, revision, delimiter, reverse, keys }), print);
  },
});

export const help: CommandHelp = {
  usage: ["ls [PREFIX] [FLAGS]", "ls --start KEY --end KEY [FLAGS]"],
  environment: connectionEnvironment,
  notes: [
    "Lists every matching key as of one moment, in the order of their bytes. Without a match it",
    "prints nothing and exits 0. With -o json the values are there too; else only keys are fetched.",
    "The table tells how long keys have left by the clock of this machine, where any of them expires.",
  ],
  examples: [
    ["kv ls", "all keys"],
    ["kv ls users/ --delimiter /", "a folder, as ls shows one"],
    ["kv ls users/ --count", "how many keys it has"],
    ["kv ls log/ --reverse --limit 10", "the last ten"],
    ["kv ls --revision 43", "the keys that were there then"],
    ["kv ls -o json | jq .key", "entries with their values"],
    ["kv ls -0 tmp/ | xargs -0 -n1 kv get", "whatever characters the keys have"],
  ],
};

// --- internal ---

type Output = "raw" | "json" | "table" | "null";
type Printer = (page: readonly ListRow[]) => string;

interface ListArguments {
  readonly limit?: string | undefined;
  readonly reverse?: boolean | undefined;
  readonly delimiter?: string | undefined;
  readonly keys?: boolean | undefined;
  readonly null?: boolean | undefined;
  readonly output?: "raw" | "json" | "table" | undefined;
}

/** A number has no order, no end and no folders. */
function checkCount({ limit, reverse, delimiter, keys, null: nulls, output }: ListArguments): void {
  const others = { limit, reverse, delimiter, keys, null: nulls };
  const other = Object.entries(others).find(([, value]) => value !== undefined && value !== false);
  if (other !== undefined) throw new UsageError(`--count and --${other[0]} exclude each other`);
  if (output === "table") throw new UsageError("--count and -o table exclude each other");
}

function outputOf(output: Exclude<Output, "null"> | undefined, nulls: boolean): Output {
  if (!nulls) return output ?? (isTerminal(1) ? "table" : "raw");
  if (output === undefined || output === "raw") return "null";
  throw new UsageError(`--null and -o ${output} exclude each other`);
}

async function printer(output: Output): Promise<Printer> {
  if (output === "json") return (page) => page.map((row) => jsonLine(toJson(row))).join("");
  if (output === "table") {
    const { EntryTable } = await import("./entry-table.ts");
    const table = new EntryTable();
    return (page) => table.format(page);
  }
  const end = output === "null" ? "\0" : "\n";
  const show = output === "raw" && isTerminal(1) ? escapeControls : String;
  return (page) => page.map((row) => show(isFolder(row) ? row.folder : row.key) + end).join("");
}

function toJson(row: ListRow): object {
  return isFolder(row) ? row : entryToJson(row);
}
