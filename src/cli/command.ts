/**
 * What a file of a subcommand exports: the definition for citty, and what its help says beyond
 * that.
 */

import type { ArgDef, ArgsDef, CommandDef } from "citty";

export interface CommandHelp {
  /** The forms of the command, without `kv`: `get KEY [FLAGS]`. */
  readonly usage: readonly string[];
  /** Environment variables that the command reads. */
  readonly environment: Readonly<Record<string, string>>;
  /** Command lines worth copying, each with what it does. */
  readonly examples: readonly (readonly [line: string, what: string])[];
  /** Further lines of explanation. */
  readonly notes?: readonly string[];
}

/** What the arguments of a command may be beyond their definitions for citty. */
export interface ArgumentRules {
  /** The last positional argument takes any number of values. */
  readonly repeats?: boolean;
  /** Flags that may be given more than once. */
  readonly repeatedFlags?: readonly string[];
  /** What stands behind `--` is a command to run, and no argument. */
  readonly runsCommand?: boolean;
}

/** What citty has no place for; a command gets it as its `data`. */
export interface MoreArguments {
  /** The values of each flag that may be given more than once, in order. */
  readonly values: Readonly<Record<string, readonly string[]>>;
  /** The command to run, with its arguments. */
  readonly commandLine: readonly string[] | undefined;
}

export interface CommandModule {
  // oxlint-disable-next-line typescript/no-explicit-any -- each command has its own arguments.
  readonly command: CommandDef<any>;
  readonly help: CommandHelp;
  readonly rules?: ArgumentRules;
}

/** The arguments of a command as a record of definitions. */
export function argumentsOf(module: CommandModule): ArgsDef {
  return module.command.args as ArgsDef;
}

/** The short spellings of a flag, without their dash. */
export function aliasesOf(definition: ArgDef): string[] {
  return "alias" in definition ? [definition.alias ?? []].flat() : [];
}
