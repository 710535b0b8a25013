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
  /** Does the last positional argument take any number of values? */
  readonly repeats?: boolean;
  /** Further lines of explanation. */
  readonly notes?: readonly string[];
}

export interface CommandModule {
  // oxlint-disable-next-line typescript/no-explicit-any -- each command has its own arguments.
  readonly command: CommandDef<any>;
  readonly help: CommandHelp;
}

/** The arguments of a command as a record of definitions. */
export function argumentsOf(module: CommandModule): ArgsDef {
  return module.command.args as ArgsDef;
}

/** The short spellings of a flag, without their dash. */
export function aliasesOf(definition: ArgDef): string[] {
  return "alias" in definition ? [definition.alias ?? []].flat() : [];
}
