/** `kv compact`: lets the server forget history. */

import { defineCommand } from "citty";
import type { CommandHelp } from "./command.ts";
import { connectByFlags, connectionEnvironment, connectionFlags } from "./connection.ts";
import { jsonLine, remark, writeOut } from "./output.ts";
import { jsonFlag } from "./output-flag.ts";
import { parseInteger } from "./values.ts";

export const command = defineCommand({
  args: {
    revision: {
      type: "positional",
      required: true,
      description: "the oldest revision that can still be read afterwards",
    },
    ...jsonFlag(),
    ...connectionFlags,
  },
  async run({ args }) {
    const revision = parseInteger("REVISION", args.revision, 0);
    const client = await connectByFlags(args);
    const { oldest } = await client.compact(revision);
    if (args.output === "json") await writeOut(jsonLine({ oldest }));
    else remark(`compacted: revisions from ${oldest} on can be read, changes after it watched`);
  },
});

export const help: CommandHelp = {
  usage: ["compact REVISION [FLAGS]"],
  environment: connectionEnvironment,
  notes: [
    "Forgets what was before REVISION: reads at it and later work, watches may start after it. What",
    "is live now stays. Anything older, also to compact below it again, is exit code 7 from then on.",
  ],
  examples: [
    ["kv compact 43", "forget what was before revision 43"],
    ['kv compact "$(kv status -o json | jq .revision)"', "forget all history"],
  ],
};
