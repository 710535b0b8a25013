/** `kv del`: deletes keys, one after the other in the order given. */

import { defineCommand } from "citty";
import type { KvClient, KvDelete } from "../client/index.ts";
import { KvError } from "../errors.ts";
import { checkKey } from "../keys.ts";
import type { CommandHelp } from "./command.ts";
import { connectByFlags, connectionEnvironment, connectionFlags, jsonFlag } from "./connection.ts";
import { NOT_FOUND } from "./exit-codes.ts";
import { UsageError } from "./failure.ts";
import { jsonLine, remark, showText, writeErrorLine, writeOut } from "./output.ts";
import { parseInteger } from "./values.ts";

export const command = defineCommand({
  args: {
    key: { type: "positional", required: true, description: "the keys to delete, one or more" },
    "if-revision": {
      type: "string",
      valueHint: "N",
      description: "only if the key's revision is N; takes one key",
    },
    ...jsonFlag("print the answer as JSON, a line a key"),
    ...connectionFlags,
  },
  async run({ args }) {
    const keys = args._;
    const revision = args["if-revision"];
    if (revision !== undefined && keys.length > 1) {
      throw new UsageError("--if-revision takes one key");
    }
    const condition =
      revision === undefined ? {} : { ifRevision: parseInteger("--if-revision", revision, 1) };
    // A key that cannot be is found before the first one is gone.
    for (const key of keys) checkKey(key);
    const client = await connectByFlags(args);
    let absent = 0;
    for (const key of keys) {
      const { deleted, revision } = await deleteOne(client, key, condition);
      if (deleted === 0) {
        absent += 1;
        writeErrorLine(`kv del: ${showText(key)} is absent`);
      } else remark(`deleted ${showText(key)} at revision ${revision}`);
      if (args.output === "json") writeOut(jsonLine({ key, deleted, revision }));
    }
    return absent === 0 ? 0 : NOT_FOUND;
  },
});

export const help: CommandHelp = {
  usage: ["del KEY… [FLAGS]", "rm KEY… [FLAGS]"],
  repeats: true,
  environment: connectionEnvironment,
  notes: [
    "Each key is deleted by itself, in the order given. An absent one is reported, the others are",
    "deleted all the same, and the exit code is 3. Any other failure stops at once.",
  ],
  examples: [
    ["kv del greeting", "delete a key"],
    ["kv del a b c", "several, each by itself"],
    ["kv del lock --if-revision 43", "only what was seen; exit code 4 when it changed since"],
  ],
};

// --- internal ---

/** An absent key is absent with a condition too: exit code 3 and not 4, as over HTTP it is 404. */
async function deleteOne(
  client: KvClient,
  key: string,
  condition: { ifRevision?: number },
): Promise<KvDelete> {
  try {
    return await client.delete(key, condition);
  } catch (error) {
    if (!(error instanceof KvError) || error.code !== "precondition_failed") throw error;
    if (error.details.revision !== 0) throw error;
    return { deleted: 0, revision: error.details.storeRevision ?? 0 };
  }
}
