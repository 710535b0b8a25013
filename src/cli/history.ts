/** `kv history`: the changes of a key, the newest first. */

import { defineCommand } from "citty";
import type { KvPastEvent } from "../client/index.ts";
import { eventToJson, entryToJson } from "../json.ts";
import type { CommandHelp } from "./command.ts";
import { connectByFlags, connectionEnvironment, connectionFlags } from "./connection.ts";
import { NOT_FOUND } from "./exit-codes.ts";
import { Failure } from "./failure.ts";
import { escapeControls, isTerminal, jsonLine, showText } from "./output.ts";
import { outputFlag } from "./output-flag.ts";
import { writePages } from "./pages.ts";
import { previewValue } from "./preview.ts";
import { Table } from "./table.ts";
import { parseOptional } from "./values.ts";

export const command = defineCommand({
  args: {
    key: { type: "positional", required: true, description: "the key, which may be absent by now" },
    limit: { type: "string", valueHint: "N", description: "stop after N changes" },
    before: { type: "string", valueHint: "N", description: "only changes before revision N" },
    keys: { type: "boolean", description: "leave the values out" },
    ...outputFlag(
      ["raw", "json", "table"],
      "a revision a line, a JSON object a line, or a table (on a terminal)",
    ),
    ...connectionFlags,
  },
  async run({ args }) {
    const limit = parseOptional("--limit", args.limit, 1);
    const before = parseOptional("--before", args.before, 1);
    const output = args.output ?? (isTerminal(1) ? "table" : "raw");
    const keys = args.keys === true || output === "raw";
    const client = await connectByFlags(args);
    const changes = client.history(args.key, { limit, before, keys });
    const count = await writePages(changes, printer(output));
    if (count > 0) return;
    const when = before === undefined ? "" : ` before revision ${before}`;
    throw new Failure(`${showText(args.key)} has no change${when}`, NOT_FOUND);
  },
});

export const help: CommandHelp = {
  usage: ["history KEY [FLAGS]"],
  environment: connectionEnvironment,
  notes: [
    "The newest change comes first; the last is what the key was at the oldest revision that is kept.",
    "A key without any is exit code 3. Values are read with kv get KEY --revision N.",
  ],
  examples: [
    ["kv history greeting", "what became of a key"],
    ["kv history greeting --limit 10 --keys -o json", "the last ten changes, without the values"],
    ["kv history greeting --limit 1 -o raw", "the revision of the last change, a deletion too"],
  ],
};

// --- internal ---

function printer(output: string): (changes: readonly KvPastEvent[]) => string {
  if (output === "raw") return (changes) => changes.map(({ revision }) => `${revision}\n`).join("");
  if (output === "json")
    return (changes) => changes.map((change) => jsonLine(toJson(change))).join("");
  const table = new Table(
    ["REVISION", "CHANGE", "VERSION", "EXPIRES AT", "CONTENT TYPE", "VALUE"],
    ["REVISION", "VERSION"],
  );
  return (changes) => table.format(changes.map(cells));
}

function toJson(change: KvPastEvent): object {
  return change.type === "put"
    ? { type: change.type, ...entryToJson(change) }
    : eventToJson(change);
}

function cells(change: KvPastEvent): string[] {
  const { revision, type } = change;
  if (type !== "put") return [String(revision), type, "", "", "", ""];
  const { version, contentType, expiresAt, value } = change;
  return [
    String(revision),
    type,
    String(version),
    expiresAt === undefined ? "" : new Date(expiresAt).toISOString(),
    escapeControls(contentType),
    value === undefined ? "" : previewValue(value, contentType),
  ];
}
