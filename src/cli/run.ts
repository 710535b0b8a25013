/**
 * Runs one command line: finds the command, checks its arguments, hands them to it and turns the
 * outcome into an exit code. Never ends the process by itself.
 */

import { nearest, quote } from "../text.ts";
import { VERSION } from "../version.ts";
import { checkArguments } from "./arguments.ts";
import { checkArgumentBytes } from "./argument-bytes.ts";
import { argumentsOf } from "./command.ts";
import { COMMANDS, findCommand } from "./commands.ts";
import { UsageError } from "./failure.ts";
import { writeOut } from "./output.ts";
import { reportFailure } from "./report.ts";

/**
 * Runs `argv` (without the program's name) and answers the exit code; everything else is printed.
 */
export async function run(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv;
  let command: string | undefined;
  try {
    checkArgumentBytes(argv);
    if (first === undefined) return await help(undefined);
    if (first.startsWith("-")) return await globalFlag(first, rest);
    if (first === "help") return await helpCommand(rest);
    command = await requireCommand(first);
    return await runNamed(command, rest);
  } catch (error) {
    return reportFailure(error, command);
  }
}

// --- internal ---

async function runNamed(name: string, argv: readonly string[]): Promise<number> {
  const module = await COMMANDS[name]!.load();
  const checked = checkArguments(argv, argumentsOf(module), module.rules);
  if (checked.help) return help(name);
  const { command } = module;
  const { args, more } = checked;
  const result: unknown = await command.run?.({
    // Of a command whose arguments are known when it runs, the types can say nothing here.
    args: args as never,
    rawArgs: [...argv],
    cmd: command,
    data: more,
  });
  return typeof result === "number" ? result : 0;
}

async function globalFlag(flag: string, rest: readonly string[]): Promise<number> {
  if (flag === "--help" || flag === "-h") return helpCommand(rest);
  if (flag === "--version" || flag === "-V" || flag === "-v") {
    refuseExtra(rest);
    await writeOut(`${VERSION}\n`);
    return 0;
  }
  const near = nearest(flag, ["--help", "--version"]);
  if (near !== undefined) {
    throw new UsageError(`unknown flag ${quote(flag)}; did you mean kv ${near}?`);
  }
  throw new UsageError(`${quote(flag)} stands before the command; write kv COMMAND ${flag}`);
}

async function helpCommand(names: readonly string[]): Promise<number> {
  const [name, ...rest] = names;
  refuseExtra(rest);
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    return help(undefined);
  }
  return help(await requireCommand(name));
}

async function help(name: string | undefined): Promise<number> {
  const { printCommandHelp, printOverview } = await import("./help.ts");
  if (name === undefined) await printOverview();
  else await printCommandHelp(name, await COMMANDS[name]!.load());
  return 0;
}

async function requireCommand(name: string): Promise<string> {
  const found = findCommand(name);
  if (found !== undefined) return found;
  const { suggestCommand } = await import("./suggestions.ts");
  const near = suggestCommand(name);
  throw new UsageError(
    `unknown command ${quote(name)}` + (near === undefined ? "" : `; did you mean kv ${near}?`),
  );
}

function refuseExtra(rest: readonly string[]): void {
  if (rest.length > 0) throw new UsageError(`unexpected argument ${quote(rest[0]!)}`);
}
