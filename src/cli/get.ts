/** `kv get`: the bytes of a value, exactly. */

import { defineCommand } from "citty";
import { entryToJson } from "../json.ts";
import type { CommandHelp } from "./command.ts";
import { connectByFlags, connectionEnvironment, connectionFlags } from "./connection.ts";
import { NOT_FOUND } from "./exit-codes.ts";
import { Failure } from "./failure.ts";
import { isTerminal, jsonLine, showText, writeOut } from "./output.ts";

export const command = defineCommand({
  args: {
    key: { type: "positional", required: true, description: "the key to read" },
    output: {
      type: "enum",
      alias: "o",
      options: ["raw", "json"],
      default: "raw",
      valueHint: "raw|json",
      description: "the value's bytes (the default), or the whole entry as JSON",
    },
    ...connectionFlags,
  },
  async run({ args }) {
    const client = await connectByFlags(args);
    const entry = await client.get(args.key);
    if (entry === undefined) throw new Failure(`${showText(args.key)} is absent`, NOT_FOUND);
    if (args.output === "json") {
      writeOut(jsonLine(entryToJson(entry)));
      return;
    }
    writeOut(entry.bytes);
    // Piped, not a byte is added; on a terminal the prompt should start on a line of its own.
    if (isTerminal(1)) writeOut("\n");
  },
});

export const help: CommandHelp = {
  usage: ["get KEY [-o raw|json]"],
  environment: connectionEnvironment,
  notes: [
    "Prints the value's bytes and nothing else, and a newline only when stdout is a terminal.",
  ],
  examples: [
    ["kv get greeting", "print a value"],
    ["kv get photo > photo.jpg", "any bytes, exactly as they were put"],
    ["kv get greeting -o json", "the value with its type, revision and version"],
  ],
};
