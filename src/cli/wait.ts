/** `kv wait`: waits until a key is there, is absent, has a value, or has changed. */

import { defineCommand } from "citty";
import { checkKey } from "../keys.ts";
import { encodeUtf8 } from "../text.ts";
import { durationToText } from "../ttl.ts";
import type { CommandHelp } from "./command.ts";
import { connectionEnvironment, connectionFlags } from "./connection.ts";
import { entryOutputFlag, writeEntry } from "./entry-output.ts";
import { CONDITION_FAILED, NOT_FOUND, UNREACHABLE } from "./exit-codes.ts";
import { Failure, UsageError } from "./failure.ts";
import { showText } from "./output.ts";
import { serverUrl } from "./server-url.ts";
import { parseInteger, parseMilliseconds } from "./values.ts";
import type { Wanted } from "./wait-for-key.ts";

export const command = defineCommand({
  args: {
    key: { type: "positional", required: true, description: "the key to wait for" },
    value: { type: "string", valueHint: "VALUE", description: "until its value is this text" },
    absent: { type: "boolean", description: "until it is absent" },
    revision: {
      type: "string",
      valueHint: "N",
      description: "until it has changed after revision N",
    },
    ...entryOutputFlag,
    url: connectionFlags.url,
    timeout: {
      type: "string",
      valueHint: "TIME",
      default: "30s",
      description: "give up after this long, whatever the reason: 500ms, 30s (the default), 10m",
    },
  },
  async run({ args }) {
    checkKey(args.key);
    const wanted = parseWanted(args);
    const timeoutMs = parseMilliseconds("--timeout", args.timeout);
    const url = serverUrl(args.url);
    const { waitForKey } = await import("./wait-for-key.ts");
    const end = await waitForKey(args.key, wanted, { url, timeoutMs });
    const key = showText(args.key);
    const after = `after ${durationToText(timeoutMs)}`;
    switch (end.why) {
      case "met":
        return end.entry === undefined ? undefined : writeEntry(end.entry, args.output);
      case "deleted":
        throw new Failure(`${key} was deleted after revision ${args.revision}`, NOT_FOUND);
      case "timeout":
        throw new Failure(`${after} ${key} ${still(wanted)}`, CONDITION_FAILED);
      case "unreachable":
        throw new Failure(`gave up ${after}: ${end.message}`, UNREACHABLE);
    }
  },
});

export const help: CommandHelp = {
  usage: ["wait KEY [--value VALUE | --absent | --revision N] [FLAGS]"],
  environment: connectionEnvironment,
  notes: [
    "Waits until the key is there, or for what the flag says, and prints its value as kv get does",
    "(nothing with --absent). What already is so ends it at once; what is so for a moment only counts.",
    "A server that is not there yet, or goes away, is tried again until the timeout. --revision N ends",
    "with the first change after N: exit code 3 when that left the key absent.",
  ],
  examples: [
    ["kv wait config", "print a value as soon as there is one"],
    ["kv wait migration --value done --timeout 5m", "let one process wait for another"],
    ["kv wait lock --absent && kv put lock me --if-absent", "wait for a lock, then try to take it"],
    ["kv wait config --revision 43", "the next value after one that was seen"],
  ],
};

// --- internal ---

interface WantedArguments {
  readonly value?: string | undefined;
  readonly absent?: boolean | undefined;
  readonly revision?: string | undefined;
}

function parseWanted({ value, absent, revision }: WantedArguments): Wanted {
  const given = Object.entries({ value, absent, revision }).filter(
    ([, flag]) => flag !== undefined && flag !== false,
  );
  if (given.length > 1) {
    const [first, second] = given.map(([name]) => `--${name}`);
    throw new UsageError(`${first} and ${second} exclude each other`);
  }
  if (value !== undefined) return { value: encodeUtf8(value) };
  if (revision !== undefined) return { changedAfter: parseInteger("--revision", revision, 1) };
  return { present: absent !== true };
}

/** Why it would have gone on. */
function still(wanted: Wanted): string {
  if (wanted.value !== undefined) return "does not have that value";
  if (wanted.changedAfter !== undefined) return `has not changed since ${wanted.changedAfter}`;
  return wanted.present ? "is still absent" : "is still there";
}
