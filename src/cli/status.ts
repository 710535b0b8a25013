/** `kv status`: what the server says about itself. */

import { defineCommand } from "citty";
import type { JsonStatus } from "../json.ts";
import type { CommandHelp } from "./command.ts";
import { connectByFlags, connectionEnvironment, connectionFlags, jsonFlag } from "./connection.ts";
import { escapeControls, jsonLine, writeOut } from "./output.ts";

export const command = defineCommand({
  args: {
    ...jsonFlag("print all of it as JSON, the limits included"),
    ...connectionFlags,
  },
  async run({ args }) {
    const client = await connectByFlags(args);
    const status = await client.status();
    writeOut(args.output === "json" ? jsonLine(status) : describe(client.url, status));
  },
});

export const help: CommandHelp = {
  usage: ["status [-o json]"],
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
    ["uptime", duration(status.uptimeSeconds)],
    ["store", status.store],
    ["engine", `${status.engine}, durability ${status.durability}`],
    ["revision", `${status.revision}, readable from ${status.oldest}`],
    ["keys", String(status.keys)],
    ["size", size(status.bytes)],
    ["watchers", String(status.watchers)],
  ];
  return rows.map(([name, text]) => `${name!.padEnd(10)}${escapeControls(text!)}\n`).join("");
}

function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 120) return `${whole} s`;
  if (whole < 7_200) return `${Math.floor(whole / 60)} min`;
  if (whole < 172_800) return `${Math.floor(whole / 3_600)} h`;
  return `${Math.floor(whole / 86_400)} d`;
}

function size(bytes: number): string {
  if (bytes < 1_024) return `${bytes} bytes`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1_024 ** power).toFixed(1)} ${units[power - 1]}`;
}
