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
import { connectionEnvironment, connectionFlags, transportByFlags } from "./connection.ts";
import { CONDITION_FAILED } from "./exit-codes.ts";
import { Failure } from "./failure.ts";
import { readFileArgument, readStandardInput } from "./input.ts";
import { isTerminal, jsonLine, remark, writeOut } from "./output.ts";
import { outputFlag } from "./output-flag.ts";

export const command = defineCommand({
  args: {
    file: {
      type: "positional",
      required: true,
      description: "the file with the transaction; - is stdin",
    },
    ...outputFlag(["json", "table"], "the answer as JSON, or a line an operation (on a terminal)"),
    ...connectionFlags,
  },
  async run({ args }) {
    const txn = parse(
      args.file === "-"
        ? await readStandardInput(JSON_BODY_BYTES_MAX)
        : await readFileArgument(args.file, JSON_BODY_BYTES_MAX),
    );
    const transport = transportByFlags(args);
    const { postTxn } = await import("../client/operations.ts");
    const result = await postTxn(transport, txn).catch((error: unknown) => {
      throw namingOperation(txn, error);
    });
    const { showFailedChecks, showOutcome } = await import("./txn-outcome.ts");
    const output = args.output ?? (isTerminal(1) ? "table" : "json");
    await writeOut(
      output === "json" ? jsonLine(commitResultToJson(result)) : showOutcome(txn, result),
    );
    if (!result.succeeded) {
      throw new Failure(showFailedChecks(txn, result.failed), CONDITION_FAILED);
    }
    remark(`succeeded at revision ${result.revision}`);
  },
});

export const help: CommandHelp = {
  usage: ["txn FILE [FLAGS]", "txn - [FLAGS] < FILE"],
  environment: connectionEnvironment,
  notes: [
    "If every check holds, the operations of `then` take effect, else those of `else`: all of them at",
    "one revision, or nothing. Failed checks are exit code 4, also when `else` ran. An operation that",
    "fails leaves everything as it was: incr of a text (exit code 4), touch of an absent key (3).",
    '  {"checks": [{"key": "a", "revision": 7}, {"key": "b", "version": 0, "not": true},',
    '              {"key": "c", "value": "open"}],',
    '   "then": [{"op": "put", "key": "a", "value": "1", "ttl": "30s"}, {"op": "delete", "key": "b"},',
    '            {"op": "deleteRange", "prefix": "tmp/"}, {"op": "incr", "key": "n", "by": "-5"},',
    '            {"op": "touch", "key": "c", "ttl": "none"}],',
    '   "else": [{"op": "get", "key": "a"}, {"op": "list", "prefix": "b/", "limit": 10}]}',
  ],
  examples: [
    ["kv txn move.json", "run it; exit code 4 when a check failed"],
    ["kv txn - < move.json | jq .revision", "the answer, with a result for each operation"],
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

/** An operation that failed is counted within the list that ran; that can be either of them. */
function namingOperation(txn: Txn, error: unknown): unknown {
  if (!(error instanceof KvError) || error.details.index === undefined) return error;
  const { code, message, details } = error;
  const isThen = txn.else === undefined || txn.checks.length === 0;
  const place = isThen ? `then[${details.index}]` : `operation ${details.index} of what ran`;
  return new KvError(code, `${place}: ${message}`, details);
}
