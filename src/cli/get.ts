/** `kv get`: the bytes of a value, exactly. */

import { defineCommand } from "citty";
import { getEntry } from "../client/operations.ts";
import type { CommandHelp } from "./command.ts";
import { connectionEnvironment, connectionFlags, transportByFlags } from "./connection.ts";
import { entryOutputFlag, writeEntry } from "./entry-output.ts";
import { NOT_FOUND } from "./exit-codes.ts";
import { Failure } from "./failure.ts";
import { showText } from "./output.ts";
import { parseOptional } from "./values.ts";

export const command = defineCommand({
  args: {
    key: { type: "positional", required: true, description: "the key to read" },
    revision: {
      type: "string",
      valueHint: "N",
      description: "the value that it had at revision N of the store",
    },
    ...entryOutputFlag,
    ...connectionFlags,
  },
  async run({ args }) {
    const revision = parseOptional("--revision", args.revision, 0);
    const transport = transportByFlags(args);
    const { entry } = await getEntry(transport, args.key, { revision });
    if (entry === undefined) {
      const when = revision === undefined ? "is absent" : `was absent at revision ${revision}`;
      throw new Failure(`${showText(args.key)} ${when}`, NOT_FOUND);
    }
    await writeEntry(entry, args.output);
  },
});

export const help: CommandHelp = {
  usage: ["get KEY [FLAGS]"],
  environment: connectionEnvironment,
  notes: [
    "Prints the value's bytes and nothing else, and a newline only when stdout is a terminal.",
    "An older value can be read as long as its revision is not compacted (exit code 7).",
  ],
  examples: [
    ["kv get greeting", "print a value"],
    ["kv get photo > photo.jpg", "any bytes, exactly as they were put"],
    ["kv get greeting -o json", "the value with its type, revision and version"],
    ["kv get greeting --revision 43", "what it was then"],
  ],
};
