/** `kv put`: sets a key to an argument, to stdin or to a file. */

import { defineCommand } from "citty";
import { writeOne } from "../client/single-write.ts";
import { toPut } from "../client/values.ts";
import { LIMITS } from "../limits.ts";
import { checkContentType } from "../rules.ts";
import { changedToJson } from "../txn-json.ts";
import type { CommandHelp } from "./command.ts";
import { connectionEnvironment, connectionFlags, transportByFlags } from "./connection.ts";
import { UsageError } from "./failure.ts";
import { jsonLine, remark, showText, writeOut } from "./output.ts";
import { jsonFlag } from "./output-flag.ts";
import { timeLeft } from "./preview.ts";
import { parseInteger, parseTtl } from "./values.ts";

export const command = defineCommand({
  args: {
    key: { type: "positional", required: true, description: "the key to set" },
    value: {
      type: "positional",
      required: false,
      description: "the value as text; - reads any bytes from stdin",
    },
    file: { type: "string", valueHint: "PATH", description: "read the value from a file" },
    "content-type": {
      type: "string",
      valueHint: "TYPE",
      description: "stored with the value; text or bytes, by what they are, when left out",
    },
    ttl: {
      type: "string",
      valueHint: "TIME|keep",
      description: "it expires after this time (500ms, 30s, 10m, 2h, 7d), or as before; else never",
    },
    "if-revision": {
      type: "string",
      valueHint: "N",
      description: "only if the key's revision is N (0: if it is absent)",
    },
    "if-absent": { type: "boolean", description: "only if the key is absent" },
    ...jsonFlag(),
    ...connectionFlags,
  },
  async run({ args }) {
    const conditions = parseConditions(args["if-revision"], args["if-absent"]);
    const ttl = args.ttl === undefined ? undefined : parseTtl("--ttl", args.ttl, "keep");
    const contentType = args["content-type"];
    // Before stdin is read, which may take long.
    if (contentType !== undefined) checkContentType(contentType, LIMITS);
    const value = await readValue(args.value, args.file);
    const put = await toPut({ op: "put", key: args.key, value, contentType, ttl });
    const { result: answer } = await writeOne(transportByFlags(args), put, conditions);
    if (args.output === "json") return writeOut(jsonLine(changedToJson(answer)));
    const did = answer.version === 1 ? "created" : "replaced";
    const end =
      answer.expiresAt === undefined ? "" : `; it expires in ${timeLeft(answer.expiresAt)}`;
    remark(`${did} ${showText(answer.key)} at revision ${answer.revision}${end}`);
  },
});

export const help: CommandHelp = {
  usage: ["put KEY VALUE [FLAGS]", "put KEY - [FLAGS] < FILE", "put KEY --file PATH [FLAGS]"],
  environment: connectionEnvironment,
  notes: [
    "Prints nothing on stdout. A value that begins with a dash goes behind --; a negative number",
    "need not. Without --ttl the key never expires, also where it did before.",
  ],
  examples: [
    ["kv put greeting hello", "set a key"],
    ["kv put counter -5", "a negative number is a value, not a flag"],
    ["kv put note -- --draft--", "behind -- everything is a value"],
    ["tar c src | kv put backup -", "any bytes from stdin"],
    ["kv put logo --file logo.png --content-type image/png", "a file with its type"],
    ["kv put session/ada 1f3c --ttl 30m", "it is gone half an hour later"],
    ["kv put lock me --if-absent", "exit code 4 when somebody else has it"],
  ],
};

// --- internal ---

function parseConditions(
  revision: string | undefined,
  absent: boolean | undefined,
): { ifRevision?: number; ifAbsent?: boolean } {
  if (revision !== undefined && absent === true) {
    throw new UsageError("--if-revision and --if-absent exclude each other");
  }
  if (absent === true) return { ifAbsent: true };
  return revision === undefined ? {} : { ifRevision: parseInteger("--if-revision", revision, 0) };
}

async function readValue(
  value: string | undefined,
  file: string | undefined,
): Promise<string | Uint8Array> {
  if (value !== undefined && file !== undefined) {
    throw new UsageError("VALUE and --file exclude each other");
  }
  if (value !== undefined && value !== "-") return value;
  if (value === undefined && file === undefined) {
    throw new UsageError("VALUE is missing; give it, or - for stdin, or --file PATH");
  }
  const { readFileArgument, readStandardInput } = await import("./input.ts");
  return value === "-" || file === "-" ? readStandardInput() : readFileArgument(file!);
}
