/** One entry on stdout, in the form that `-o` asks for. */

import { entryToJson } from "../json.ts";
import type { Entry } from "../kv.ts";
import { isTerminal, jsonLine, writeOut } from "./output.ts";
import { outputFlag } from "./output-flag.ts";

export const entryOutputFlag = outputFlag(
  ["raw", "json", "table"],
  "the value's bytes (the default), the whole entry as JSON, or a line about it",
);

export async function writeEntry(entry: Entry, output = "raw"): Promise<void> {
  if (output === "json") return writeOut(jsonLine(entryToJson(entry)));
  if (output === "table") {
    const { EntryTable } = await import("./entry-table.ts");
    return writeOut(new EntryTable().format([entry]));
  }
  await writeOut(entry.value);
  // Piped, not a byte is added; on a terminal the prompt should start on a line of its own.
  if (isTerminal(1)) await writeOut("\n");
}
