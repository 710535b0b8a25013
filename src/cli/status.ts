/** `kv status`: what the server says about itself. */

import { defineCommand } from "citty";
import type { HttpTransport } from "../client/http-transport.ts";
import type { JsonStatus } from "../json.ts";
import type { Lag } from "../kv.ts";
import { PATHS } from "../protocol.ts";
import type { WatcherDescription } from "../watch/watcher-description.ts";
import { showBytes } from "../text.ts";
import type { CommandHelp } from "./command.ts";
import { connectionEnvironment, connectionFlags, transportByFlags } from "./connection.ts";
import { escapeControls, jsonLine, writeOut } from "./output.ts";
import { outputFlag } from "./output-flag.ts";
import { showCount, showDuration } from "./preview.ts";

export const command = defineCommand({
  args: {
    watchers: { type: "boolean", description: "also who watches what, and how far behind each is" },
    ...outputFlag(
      ["json", "table"],
      "all of it, the limits included, or a few lines (the default)",
    ),
    ...connectionFlags,
  },
  async run({ args }) {
    const transport = transportByFlags(args);
    const status = await askStatus(transport, args.watchers === true);
    if (args.output === "json") return writeOut(jsonLine(status));
    await writeOut(describe(transport.url.http, status));
    if (status.watching === undefined || status.watching.length === 0) return;
    const { watcherTable } = await import("./watcher-table.ts");
    await writeOut(`\n${watcherTable(status.watching, status.watchers)}`);
  },
});

export const help: CommandHelp = {
  usage: ["status [--watchers] [-o json|table]"],
  environment: connectionEnvironment,
  notes: [
    "With --watchers each watch of the server is a line: live, or behind by LAG revisions, with",
    "what its connection has still to take. A server lists 1,000 of them at most.",
  ],
  examples: [
    ["kv status", "the store in a few lines"],
    ["kv status --watchers", "who is behind, and how far"],
    ["kv status -o json | jq .revision", "one number out of it"],
  ],
};

// --- internal ---

interface WatchedStatus extends JsonStatus {
  readonly watching?: readonly WatcherDescription[];
}

async function askStatus(transport: HttpTransport, watchers: boolean): Promise<WatchedStatus> {
  const path = watchers ? `${PATHS.status}?watchers=true` : PATHS.status;
  return transport.json<WatchedStatus>(
    { method: "GET", path },
    ({ store, revision, watching = [] }) =>
      typeof store === "string" && Number.isSafeInteger(revision) && Array.isArray(watching),
  );
}

/** What a power cut would lose now, where writes are answered before they are on disk. */
function describeLag({ revisions, bytes, ms }: Lag): string {
  if (bytes === 0) return "nothing";
  return `${showCount(revisions, "revision")}, ${showBytes(bytes)}, for ${showDuration(ms)}`;
}

function describe(url: string, status: JsonStatus): string {
  const rows = [
    ["server", `${url}, kv ${status.version}`],
    ["uptime", showDuration(status.uptimeSeconds * 1_000)],
    ["store", status.store],
    ["engine", `${status.engine}, durability ${status.durability}`],
    ...(status.lag === undefined ? [] : [["unsynced", describeLag(status.lag)]]),
    ["revision", `${status.revision}, readable from ${status.oldest}`],
    ["keys", String(status.keys)],
    ["size", showBytes(status.bytes)],
    ["watchers", String(status.watchers)],
  ];
  return rows.map(([name, text]) => `${name!.padEnd(10)}${escapeControls(text!)}\n`).join("");
}
