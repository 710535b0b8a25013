/** `kv touch`: gives a key another time to live; its value stays. */

import { defineCommand } from "citty";
import { writeOne } from "../client/single-write.ts";
import { toTouch } from "../client/values.ts";
import { changedToJson } from "../txn-json.ts";
import { isAbsence } from "./absent.ts";
import type { CommandHelp } from "./command.ts";
import { connectionEnvironment, connectionFlags, transportByFlags } from "./connection.ts";
import { NOT_FOUND } from "./exit-codes.ts";
import { Failure, UsageError } from "./failure.ts";
import { jsonLine, remark, showText, writeOut } from "./output.ts";
import { jsonFlag } from "./output-flag.ts";
import { timeLeft } from "./preview.ts";
import { parseOptional, parseTtl } from "./values.ts";

export const command = defineCommand({
  args: {
    key: { type: "positional", required: true, description: "the key, which must be there" },
    ttl: {
      type: "string",
      valueHint: "TIME|keep|none",
      description: "it expires after this time (500ms, 30s, 10m, 2h, 7d), as before, or never",
    },
    "if-revision": {
      type: "string",
      valueHint: "N",
      description: "only if the key's revision is N",
    },
    ...jsonFlag(),
    ...connectionFlags,
  },
  async run({ args }) {
    if (args.ttl === undefined) {
      throw new UsageError("--ttl is missing; give a time such as 30s, or keep, or none");
    }
    const ttl = parseTtl("--ttl", args.ttl, "keep", "none");
    const ifRevision = parseOptional("--if-revision", args["if-revision"], 1);
    const touch = toTouch({ op: "touch", key: args.key, ttl });
    const writing = writeOne(transportByFlags(args), touch, { ifRevision });
    const { result: answer } = await writing.catch((error: unknown) => {
      if (!isAbsence(error)) throw error;
      throw new Failure(`${showText(args.key)} is absent`, NOT_FOUND);
    });
    if (args.output === "json") return writeOut(jsonLine(changedToJson(answer)));
    const { expiresAt } = answer;
    const end =
      expiresAt === undefined ? "it never expires" : `it expires in ${timeLeft(expiresAt)}`;
    remark(`touched ${showText(args.key)} at revision ${answer.revision}; ${end}`);
  },
});

export const help: CommandHelp = {
  usage: ["touch KEY --ttl TIME|keep|none [FLAGS]"],
  environment: connectionEnvironment,
  notes: [
    "A touch is a change like a put of the same value: it has a revision, and a watch shows it.",
    "Prints nothing on stdout. An absent key is exit code 3.",
  ],
  examples: [
    ["kv touch session/ada --ttl 30m", "half an hour from now on"],
    ["kv touch session/ada --ttl none", "it no longer expires"],
    ["kv touch config --ttl keep", "a new revision, and nothing else"],
  ],
};
