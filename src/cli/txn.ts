/** `kv txn`: runs a transaction that is written down as JSON, all of it or nothing. */

import { defineCommand } from "citty";
import { KvError } from "../errors.ts";
import { type JsonTxn } from "../json.ts";
import { schemas } from "../schemas.ts";
import { commitResultToJson, txnFromJson } from "../txn-json.ts";
import type { Txn } from "../kv.ts";
import { JSON_BODY_BYTES_MAX } from "../limits.ts";
import { validate } from "../schema.ts";
import { decodeUtf8 } from "../text.ts";
import type { CommandHelp } from "./command.ts";
import {
  connectionEnvironment,
  connectionFlags,
  jsonFlag,
  transportByFlags,
} from "./connection.ts";
import { CONDITION_FAILED } from "./exit-codes.ts";
import { Failure } from "./failure.ts";
import { readFileArgument, readStandardInput } from "./input.ts";
import { jsonLine, remark, showText, writeOut } from "./output.ts";

export const command = defineCommand({
  args: {
    file: {
      type: "positional",
      required: true,
      description: "the file with the transaction; - is stdin",
    },
    ...jsonFlag(),
    ...connectionFlags,
  },
  async run({ args }) {
    const txn = parse(
      args.file === "-"
        ? await readStandardInput(JSON_BODY_BYTES_MAX)
        : await readFileArgument(args.file, JSON_BODY_BYTES_MAX),
    );
    const transport = await transportByFlags(args);
    const { postTxn } = await import("../client/operations.ts");
    const result = await postTxn(transport, txn);
    if (args.output === "json") writeOut(jsonLine(commitResultToJson(result)));
    if (!result.succeeded) throw new Failure(whatFailed(txn, result.failed), CONDITION_FAILED);
    remark(`committed at revision ${result.revision}`);
  },
});

export const help: CommandHelp = {
  usage: ["txn FILE [-o json]", "txn - [-o json] < FILE"],
  environment: connectionEnvironment,
  notes: [
    "If every check holds, the operations of `then` take effect, else those of `else`: all of them at",
    "one revision, or nothing. Failed checks are exit code 4, also when `else` ran.",
    '  {"checks": [{"key": "a", "revision": 7}],',
    '   "then": [{"op": "put", "key": "a", "value": "1"}, {"op": "delete", "key": "b"}],',
    '   "else": [{"op": "get", "key": "a"}]}',
  ],
  examples: [
    ["kv txn move.json", "run it; exit code 4 when a check failed"],
    ["kv txn - -o json < move.json | jq .revision", "the answer, with a result for each operation"],
  ],
};

// --- internal ---

function parse(bytes: Uint8Array): Txn {
  let json: unknown;
  try {
    json = JSON.parse(decodeUtf8(bytes) ?? "");
  } catch (error) {
    throw new KvError(
      "invalid_argument",
      `the transaction is no JSON: ${(error as Error).message}`,
    );
  }
  validate(schemas.txn, json);
  return txnFromJson(json as JsonTxn);
}

function whatFailed(txn: Txn, failed: readonly number[]): string {
  const [first = 0, ...others] = failed;
  const key = txn.checks[first]?.key ?? "";
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  return `checks[${first}] on ${showText(key)}${more} did not hold`;
}
