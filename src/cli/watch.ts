/**
 * `kv watch`: prints changes as they happen, or runs a command for each, over losses of the
 * connection, until it is interrupted.
 */

import { defineCommand } from "citty";
import type { KvFrame } from "../client/index.ts";
import { KvError } from "../errors.ts";
import { checkRanges, type Ranges } from "../keys.ts";
import type { ArgumentRules, CommandHelp, MoreArguments } from "./command.ts";
import { connectByFlags, connectionEnvironment, connectionFlags } from "./connection.ts";
import type { EventCommand } from "./event-command.ts";
import { UsageError } from "./failure.ts";
import { LaterOutput } from "./later-output.ts";
import { writeErrorLine } from "./output.ts";
import { outputFlag } from "./output-flag.ts";
import { boundFlags, parseRange } from "./ranges.ts";
import { readerGone } from "./reader-gone.ts";
import { parseOptional } from "./values.ts";
import { everyItem, newestItems, untilChange } from "./watch-items.ts";
import { watchPrinter } from "./watch-output.ts";

export const command = defineCommand({
  args: {
    key: {
      type: "positional",
      required: false,
      description: "the keys to watch; every key when there are none and no flag says which",
    },
    prefix: {
      type: "string",
      valueHint: "PREFIX",
      description: "also all keys that begin with this; may be given more than once",
    },
    ...boundFlags,
    from: {
      type: "string",
      valueHint: "N",
      description: "begin at revision N, which may be past; from now on when left out",
    },
    initial: {
      type: "boolean",
      description: "first what is there; with --from only if the history from N on is gone",
    },
    prev: { type: "boolean", description: "each change with what was there before" },
    keys: { type: "boolean", description: "leave the values out" },
    latest: {
      type: "boolean",
      description: "when slower than the changes come, only the newest of each key",
    },
    once: { type: "boolean", description: "end after the first change, with all its events" },
    ...outputFlag(
      ["json", "table", "frames"],
      "a JSON object an event, a line to read (on a terminal), or a JSON object a revision",
    ),
    ...connectionFlags,
  },
  async run({ args, data }) {
    const { values, commandLine } = data as MoreArguments;
    const ranges = parseRanges(args._, values["prefix"]!, args);
    const from = parseOptional("--from", args.from, 1);
    if (commandLine !== undefined && args.output !== undefined) {
      throw new UsageError("-o and a command exclude each other; what it prints is the output");
    }
    const { initial = false, prev = false, keys = false, latest = false, once = false } = args;
    const command = commandLine === undefined ? undefined : await loadCommand(commandLine);
    const client = await connectByFlags(args);
    const watch = client.watch(ranges, {
      from,
      initial,
      prev,
      keys,
      latest,
      onDisconnect: (error) =>
        writeErrorLine(`kv watch: connection lost, trying again: ${error.message}`),
      onReconnect: () =>
        writeErrorLine(`kv watch: connected again${initial ? "" : NOTHING_MISSED}`),
    });
    const frames = once ? untilChange(watch) : watch;
    try {
      if (command === undefined) return await printEach(frames, watchPrinter(args.output, prev));
      const { runForEach } = await import("./run-for-each.ts");
      const items = latest && !once ? newestItems(frames) : everyItem(frames);
      return await runForEach(items, command);
    } catch (error) {
      throw initial ? error : withAdvice(error);
    }
  },
});

export const rules: ArgumentRules = { repeats: true, repeatedFlags: ["prefix"], runsCommand: true };

export const help: CommandHelp = {
  usage: [
    "watch [KEY…] [--prefix PREFIX]… [FLAGS]",
    "watch --start KEY --end KEY [FLAGS]",
    "watch [KEY…] [FLAGS] -- COMMAND [ARGUMENT…]",
  ],
  environment: connectionEnvironment,
  notes: [
    "Runs until Ctrl-C. When the connection is lost it is made again, as often as it takes, and",
    "the watch goes on where it was: each change comes once, in order. Only if the first",
    "connection cannot be made does it end, with exit code 6. History that is compacted before it",
    "was read is exit code 7; with --initial it goes on with a reset and what is there then.",
    "",
    "Piped, a line is a JSON object with the event's type and revision; with -o frames it has all",
    "events of one revision, which is what one write did. --initial begins with an object of type",
    "state for each key, and one of type sync at their end.",
    "",
    "A command is run for each event, one at a time: the value on its stdin, and in its",
    "environment KV_EVENT_TYPE (put, delete, expire; with --initial also state and reset),",
    "KV_EVENT_KEY, KV_EVENT_REVISION, and KV_EVENT_VALUE where the value is text of at most 32",
    "KiB; with --prev also KV_EVENT_PREV_VALUE and KV_EVENT_PREV_REVISION. One that fails is",
    "reported on stderr, and the next event has its turn; with --once its exit code becomes that",
    "of kv watch. Ctrl-C ends the command too.",
  ],
  examples: [
    ["kv watch", "every change from now on"],
    ["kv watch --prefix users/ | jq .key", "the keys that change in a folder"],
    ["kv watch config --once", "wait for the next change of a key"],
    ["kv watch --initial --prefix users/", "what is there, and what becomes of it"],
    ["kv watch --from 1", "all that ever happened, as far as it is kept, and what happens next"],
    ["kv watch config --initial -- sh -c 'cat > app.conf'", "keep a file as a key is"],
    ["kv watch --prefix jobs/ --latest -- ./build.sh", "a slow command that needs no change twice"],
  ],
};

// --- internal ---

const NOTHING_MISSED = ", no change was missed";

interface RangeArguments {
  readonly start?: string | undefined;
  readonly end?: string | undefined;
}

function parseRanges(
  keys: readonly string[],
  prefixes: readonly string[],
  bounds: RangeArguments,
): Ranges {
  const ranges = [...keys.map((key) => ({ key })), ...prefixes.map((prefix) => ({ prefix }))];
  if (ranges.length === 0) return parseRange(bounds, "--prefix");
  if ((bounds.start ?? bounds.end) !== undefined) {
    const others = keys.length > 0 ? "KEY" : "--prefix";
    throw new UsageError(`${others} and --start or --end exclude each other`);
  }
  checkRanges(ranges);
  return ranges;
}

async function loadCommand(commandLine: readonly string[]): Promise<EventCommand> {
  const { EventCommand } = await import("./event-command.ts");
  return new EventCommand(commandLine);
}

async function printEach(
  frames: AsyncIterable<KvFrame>,
  print: (frame: KvFrame) => string,
): Promise<void> {
  const output = new LaterOutput();
  const follow = async (): Promise<void> => {
    try {
      for await (const frame of frames) await output.write(print(frame));
    } finally {
      // What came before the end is printed, whatever the end was.
      await output.flush();
    }
  };
  await Promise.race([follow(), output.broken, readerGone()]);
}

function withAdvice(error: unknown): unknown {
  if (!(error instanceof KvError) || error.code !== "compacted") return error;
  const advice = "with --initial it would go on with what is there";
  return new KvError(error.code, `${error.message}; ${advice}`, error.details);
}
