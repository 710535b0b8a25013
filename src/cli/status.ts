/** `kv status`: what the server says about itself. */

import { defineCommand } from "citty";
import type { JsonStatus } from "../json.ts";
import type { CommandHelp } from "./command.ts";
import { connectByFlags, connectionEnvironment, connectionFlags } from "./connection.ts";
import { escapeControls, jsonLine, writeOut } from "./output.ts";
import { outputFlag } from "./output-flag.ts";
import { showBytes, showDuration } from "./preview.ts";

export const command = defineCommand({
  args: {
    ...outputFlag(
      ["json", "table"],
      "all of it, the limits included, or a few lines (the default)",
    ),
    ...connectionFlags,
  },
  async run({ args }) {
    const client = await connectByFlags(args);
    const status = await client.status();
    writeOut(args.output === "json" ? jsonLine(status) : describe(client.url, status));
  },
});

export const help: CommandHelp = {
  usage: ["status [-o json|table]"],
  environment: connectionEnvironment,
  examples: [
    ["kv status", "the store in a few lines"],
    ["kv status -o json | jq .revision", "one number out of it"],
  ],
};

// --- internal ---

function describe(url: string, status: JsonStatus): string {
  const rows = [
    ["server", `${url}, kv ${status.version}`],
    ["uptime", showDuration(status.uptimeSeconds * 1_000)],
    ["store", status.store],
    ["engine", `${status.engine}, durability ${status.durability}`],
    ["revision", `${status.revision}, readable from ${status.oldest}`],
    ["keys", String(status.keys)],
    ["size", showBytes(status.bytes)],
    ["watchers", String(status.watchers)],
  ];
  return rows.map(([name, text]) => `${name!.padEnd(10)}${escapeControls(text!)}\n`).join("");
}
