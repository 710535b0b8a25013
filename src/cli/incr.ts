/** `kv incr`: adds to the integer that a key holds, and prints the sum. */

import { defineCommand } from "citty";
import { writeOne } from "../client/single-write.ts";
import { toIncr } from "../client/values.ts";
import { changedToJson } from "../txn-json.ts";
import type { CommandHelp } from "./command.ts";
import { connectionEnvironment, connectionFlags, transportByFlags } from "./connection.ts";
import { UsageError } from "./failure.ts";
import { jsonLine, writeOut } from "./output.ts";
import { outputFlag } from "./output-flag.ts";
import { parseInt64, parseTtl } from "./values.ts";

export const command = defineCommand({
  args: {
    key: { type: "positional", required: true, description: "the key whose value is an integer" },
    BY: { type: "positional", required: false, description: "what to add; 1 when left out" },
    by: { type: "string", valueHint: "N", description: "the same as a flag" },
    ttl: {
      type: "string",
      valueHint: "TIME",
      description: "only when this creates the key: it expires after 500ms, 30s, 10m, 2h, 7d",
    },
    ...outputFlag(["raw", "json"], "the new value (the default), or the whole answer"),
    ...connectionFlags,
  },
  async run({ args }) {
    const by = parseBy(args._[1], args.by);
    const ttl = args.ttl === undefined ? undefined : parseTtl("--ttl", args.ttl);
    const incr = toIncr({ op: "incr", key: args.key, by, ttl });
    const { result: answer } = await writeOne(transportByFlags(args), incr, {});
    const value = String(answer.value);
    const { key, ...changed } = changedToJson(answer);
    await writeOut(args.output === "json" ? jsonLine({ key, value, ...changed }) : `${value}\n`);
  },
});

export const help: CommandHelp = {
  usage: ["incr KEY [BY] [FLAGS]", "incr KEY --by N [FLAGS]"],
  environment: connectionEnvironment,
  notes: [
    "Prints the new value. An absent key counts as 0. A value that is no integer of 64 bits, or a sum",
    "that does not fit, is exit code 4. The type and the deadline of the key stay as they are.",
  ],
  examples: [
    ["kv incr visits", "count"],
    ["kv incr stock -5", "take some off"],
    ["kv incr tries/ada --ttl 1m", "a rate limit: the count of a minute, begun by its first try"],
    ["n=$(kv incr next-id)", "a number that nobody else gets"],
  ],
};

// --- internal ---

function parseBy(argument: string | undefined, flag: string | undefined): bigint {
  if (argument !== undefined && flag !== undefined) {
    throw new UsageError("BY and --by exclude each other");
  }
  if (flag !== undefined) return parseInt64("--by", flag);
  return argument === undefined ? 1n : parseInt64("BY", argument);
}
