/** The help texts: of kv as a whole, and of each command out of its definition. */

import type { ArgDef } from "citty";
import { VERSION } from "../version.ts";
import { positionalName } from "./arguments.ts";
import { aliasesOf, argumentsOf, type CommandModule } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { exitCodesOf } from "./exit-meanings.ts";
import { hasColors, writeOut } from "./output.ts";

/** Prints the overview of all commands. */
export async function printOverview(): Promise<void> {
  const commands = Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary] as const);
  await writeHelp([
    `kv ${VERSION}: a durable key-value store with live subscriptions, in one executable.`,
    "",
    "# Usage",
    "  kv COMMAND [ARGUMENTS] [FLAGS]",
    "",
    "# Commands",
    ...columns([...commands, ["help [COMMAND]", "explain a command"]]),
    "",
    "# Flags",
    ...columns([
      ["-h, --help", "show this help; kv COMMAND --help shows that of a command"],
      ["-V, --version", "print the version"],
    ]),
    "",
    "# Examples",
    ...columns([
      ["kv serve &", "start a server on http://127.0.0.1:5000 with its data in ./kv-data"],
      ["kv put greeting hello", "set a key"],
      ["kv get greeting", "print its value"],
      ["kv watch", "print every change as it happens"],
    ]),
  ]);
}

/** Prints the help of one command. */
export async function printCommandHelp(name: string, module: CommandModule): Promise<void> {
  const { help } = module;
  const entries = Object.entries(argumentsOf(module));
  const positionals = entries.filter(([, { type }]) => type === "positional");
  const flags = entries.filter(([, { type }]) => type !== "positional");
  const lines = [
    `kv ${name}: ${COMMANDS[name]!.summary}`,
    "",
    "# Usage",
    ...help.usage.map((form) => `  kv ${form}`),
    "",
    ...section(
      "Arguments",
      positionals.map(([name, { description }]) => [positionalName(name), description ?? ""]),
    ),
    ...section("Flags", [
      ...flags.map(([name, flag]) => [spelledFlag(name, flag), flag.description ?? ""] as const),
      ["-h, --help", "show this help"],
    ]),
    ...(help.notes === undefined ? [] : ["# Notes", ...help.notes.map(indent), ""]),
    ...section("Environment", Object.entries(help.environment)),
    ...section(
      "Exit codes",
      exitCodesOf(name).map(([code, meaning]) => [String(code), meaning]),
    ),
    ...section("Examples", help.examples),
  ];
  await writeHelp(lines.slice(0, -1));
}

// --- internal ---

/** Characters of a line. */
const LINE_CHARS = 100;
/** A longer first column has the second on a line of its own. */
const FIRST_COLUMN_CHARS = 34;

function section(title: string, rows: readonly (readonly [string, string])[]): string[] {
  return rows.length === 0 ? [] : [`# ${title}`, ...columns(rows), ""];
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const widths = rows.map(([first]) => first.length).filter((width) => width <= FIRST_COLUMN_CHARS);
  const width = Math.max(0, ...widths);
  const indented = `\n${" ".repeat(width + 4)}`;
  return rows.map(([first, second]) => {
    const text = wrap(second, LINE_CHARS - width - 4).join(indented);
    const gap = first.length > width ? indented : "  ";
    return `  ${first.padEnd(width)}${gap}${text}`.trimEnd();
  });
}

/** The words of `text` in lines of at most `chars` characters. */
function wrap(text: string, chars: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > chars) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function spelledFlag(name: string, flag: ArgDef): string {
  const shorts = aliasesOf(flag).map((alias) => `-${alias}, `);
  const value = flag.type === "boolean" ? "" : ` ${flag.valueHint ?? "VALUE"}`;
  return `${shorts.join("") || "    "}--${name}${value}`;
}

function indent(line: string): string {
  return line === "" ? "" : `  ${line}`;
}

/** Lines that begin with `# ` are headings: bold on a terminal. */
async function writeHelp(lines: readonly string[]): Promise<void> {
  const bold = hasColors(1) ? (text: string) => `\u001b[1m${text}\u001b[22m` : String;
  const text = lines.map((line) => (line.startsWith("# ") ? bold(`${line.slice(2)}:`) : line));
  await writeOut(`${text.join("\n")}\n`);
}
