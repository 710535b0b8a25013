/**
 * `kv watch`: prints changes as they happen, over losses of the connection, until it is
 * interrupted.
 */

import { defineCommand } from "citty";
import type { KvCommit } from "../client/index.ts";
import { eventToJson } from "../json.ts";
import type { Event, Range } from "../kv.ts";
import type { CommandHelp } from "./command.ts";
import { connectByFlags, connectionEnvironment, connectionFlags } from "./connection.ts";
import { UsageError } from "./failure.ts";
import { LaterOutput } from "./later-output.ts";
import { hasColors, isTerminal, jsonLine, paint, showText, writeErrorLine } from "./output.ts";
import { outputFlag } from "./output-flag.ts";
import { previewValue } from "./preview.ts";
import { readerGone } from "./reader-gone.ts";
import { parseInteger } from "./values.ts";

export const command = defineCommand({
  args: {
    key: {
      type: "positional",
      required: false,
      description: "only changes of this key; of all keys when left out",
    },
    prefix: {
      type: "string",
      valueHint: "PREFIX",
      description: "only changes of keys that begin with this",
    },
    from: {
      type: "string",
      valueHint: "N",
      description: "begin at revision N, which may be past; from now on when left out",
    },
    once: { type: "boolean", description: "end after the first change" },
    ...outputFlag(
      ["json", "table", "frames"],
      "a JSON object an event, a line to read (on a terminal), or a JSON object a commit",
    ),
    ...connectionFlags,
  },
  async run({ args }) {
    const range = parseRange(args.key, args.prefix);
    const from = args.from === undefined ? undefined : parseInteger("--from", args.from, 1);
    const print = printer(args.output);
    const client = await connectByFlags(args);
    const changes = client.watch(range, {
      from,
      onDisconnect: (error) =>
        writeErrorLine(`kv watch: connection lost, trying again: ${error.message}`),
      onReconnect: () => writeErrorLine("kv watch: connected again, no change was missed"),
    });
    const output = new LaterOutput();
    const follow = async (): Promise<void> => {
      try {
        for await (const commit of changes) {
          await output.write(print(commit));
          if (args.once === true) break;
        }
      } finally {
        // What came before the end is printed, whatever the end was.
        await output.flush();
      }
    };
    await Promise.race([follow(), output.broken, readerGone()]);
  },
});

export const help: CommandHelp = {
  usage: ["watch [KEY] [FLAGS]", "watch --prefix PREFIX [FLAGS]"],
  environment: connectionEnvironment,
  notes: [
    "Runs until Ctrl-C. When the connection is lost it is made again, as often as it takes, and the",
    "watch goes on where it was: each change comes once, in order. Only if the first connection cannot",
    "be made does it end, with exit code 6. Piped, a line is a JSON object with the event's revision;",
    "with -o frames a line has all events of one revision, which is what one write did.",
  ],
  examples: [
    ["kv watch", "every change from now on"],
    ["kv watch --prefix users/ | jq .key", "the keys that change in a folder"],
    ["kv watch config --once", "wait for the next change of a key"],
    ["kv watch --from 1", "all that ever happened, as far as it is kept, and what happens next"],
  ],
};

// --- internal ---

const COLORS = { put: 32, delete: 31, expire: 33 } as const;
const GREY = 90;

function parseRange(key: string | undefined, prefix: string | undefined): Range {
  if (key !== undefined && prefix !== undefined) {
    throw new UsageError("KEY and --prefix exclude each other");
  }
  if (key !== undefined) return { key };
  return prefix === undefined ? {} : { prefix };
}

function printer(output: string | undefined): (commit: KvCommit) => string {
  if (output === "frames") {
    return ({ revision, events }) =>
      jsonLine({ type: "change", revision, events: events.map((event) => eventToJson(event)) });
  }
  if (output === "json" || (output === undefined && !isTerminal(1))) {
    return ({ events }) => events.map((event) => jsonLine(eventToJson(event))).join("");
  }
  const color = hasColors(1) ? paint : String;
  return ({ events }) => events.map((event) => `${describe(event, color)}\n`).join("");
}

function describe(event: Event, color: (text: string, color: number) => string): string {
  const revision = color(String(event.revision), GREY);
  const line = `${revision} ${color(event.type, COLORS[event.type])} ${showText(event.key)}`;
  return event.type === "put" ? `${line} ${previewValue(event.value, event.contentType)}` : line;
}
