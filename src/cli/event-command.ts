/**
 * The command that `kv watch -- CMD` runs for an event: the value on its stdin, what happened in
 * its environment. It writes to the same stdout and stderr as kv.
 */

import type { Subprocess } from "bun";
import type { ListedEntry } from "../kv.ts";
import { decodeUtf8 } from "../text.ts";
import { UsageError } from "./failure.ts";
import { showText } from "./output.ts";
import type { Stop } from "./signals.ts";
import type { WatchItem } from "./watch-items.ts";

export interface CommandEnd {
  /** As a shell reports it: 128 + the number of a signal, 127 where there is no such command. */
  readonly code: number;
  /** What went wrong, in words. */
  readonly failure?: string;
}

export class EventCommand {
  readonly #commandLine: readonly string[];
  #running: Subprocess | undefined;

  /** @throws `UsageError` when there is no such command. */
  constructor(commandLine: readonly string[]) {
    this.#commandLine = commandLine;
    const [name] = commandLine;
    // A wrong name should show now, and not hours later with the first event.
    if (Bun.which(name!) === null) {
      throw new UsageError(`there is no command ${showText(name!)} that could be run`);
    }
  }

  /** Runs it to its end. */
  async run(item: WatchItem): Promise<CommandEnd> {
    if ("key" in item && item.key.includes("\0")) return NUL_IN_KEY;
    try {
      this.#running = Bun.spawn([...this.#commandLine], {
        env: { ...inherited(), ...variablesOf(item) },
        stdin: valueOf(item),
        stdout: "inherit",
        stderr: "inherit",
      });
    } catch (error) {
      return notStarted(error as NodeJS.ErrnoException);
    }
    const code = await this.#running.exited;
    const signal = this.#running.signalCode;
    this.#running = undefined;
    if (signal !== null) return { code, failure: `the command was ended by ${signal}` };
    return code === 0 ? { code } : { code, failure: `the command failed with exit code ${code}` };
  }

  /** Hands a signal on to the command, if it is running. */
  signal(signal: Stop | "SIGKILL"): void {
    this.#running?.kill(signal);
  }
}

/** The variables that tell an event. Absent ones are set in no way. */
export function variablesOf(item: WatchItem): Record<string, string> {
  const prev = "prev" in item ? item.prev : undefined;
  const variables = {
    KV_EVENT_TYPE: item.type,
    KV_EVENT_KEY: "key" in item ? item.key : undefined,
    KV_EVENT_REVISION: String(item.revision),
    KV_EVENT_VALUE: shortText("value" in item ? item.value : undefined),
    KV_EVENT_PREV_REVISION: prev === undefined ? undefined : String(prev.revision),
    KV_EVENT_PREV_VALUE: shortText(prev?.value),
  };
  const set = Object.entries(variables).filter(([, value]) => value !== undefined);
  return Object.fromEntries(set) as Record<string, string>;
}

// --- internal ---

/** Bytes of a value that still goes into the environment; the system allows 128 KiB a variable. */
const VARIABLE_BYTES_MAX = 32 * 1024;

/** With an empty name in its place, a command might do to all keys what was meant for one. */
const NUL_IN_KEY: CommandEnd = {
  code: 1,
  failure: "the command was not run, because no variable can hold a key with a NUL character",
};

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  ENOEXEC: "it is neither a program nor a script that begins with #!",
  E2BIG: "its arguments and the environment are too long",
};

function notStarted({ code = "", message }: NodeJS.ErrnoException): CommandEnd {
  const failure = `the command could not be started: ${REASONS[code] ?? message}`;
  return { code: code === "ENOENT" ? 127 : 126, failure };
}

/** The environment of kv without what an outer `kv watch` told in it. */
function inherited(): Record<string, string | undefined> {
  const pairs = Object.entries(process.env);
  return Object.fromEntries(pairs.filter(([name]) => !name.startsWith("KV_EVENT_")));
}

function valueOf(item: WatchItem): Uint8Array {
  return ("value" in item ? item.value : undefined) ?? new Uint8Array(0);
}

function shortText(value: ListedEntry["value"]): string | undefined {
  if (value === undefined || value.length > VARIABLE_BYTES_MAX || value.includes(0)) {
    return undefined;
  }
  return decodeUtf8(value);
}
