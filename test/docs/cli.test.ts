/** Replays the transcripts of `docs/cli.md` on a terminal against a fresh server, and checks its tables. */

import { expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { argumentsOf } from "../../src/cli/command.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { EXIT_CODES } from "../../src/cli/exit-meanings.ts";
import { openShellOnTerminal, SLOW_TEST_MS, type RunOptions } from "../cli/rig.ts";
import { startServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const PAGE = readFileSync(join(import.meta.dir, "../../docs/cli.md"), "utf8");

interface Step {
  readonly command: string;
  /** What stands behind the command, with `…` for anything. */
  readonly output: string;
  readonly exitCode: number;
}

/** The steps of all blocks with this label, in the order of the page. */
function steps(label: string): Step[] {
  const blocks = [...PAGE.matchAll(/^```console *(.*)\n([^]*?)^```$/gm)];
  const chosen = blocks.filter(([, name]) => name === label).map(([, , text]) => text!);
  return chosen.flatMap((text) =>
    text
      .split(/^\$ /m)
      .slice(1)
      .map((step) => {
        const [command = "", ...rest] = step.split("\n");
        const exit = /^\(exit code (\d+)\)$/.exec(rest.at(-2) ?? "");
        const lines = exit === null ? rest : rest.slice(0, -2).concat("");
        return { command, output: lines.join("\n"), exitCode: Number(exit?.[1] ?? 0) };
      }),
  );
}

test(
  "the transcripts of the clients go as they are written",
  async () => {
    using temporary = temporaryDirectory();
    const directory = join(temporary.path, "work");
    mkdirSync(directory);
    await using server = await startServerProcess({ directory: join(temporary.path, "data") });
    const all = steps("");
    expect(all.length).toBeGreaterThan(60);
    for (const step of all) {
      // What the page shows of a file is the file.
      const file = /^cat (\S+)$/.exec(step.command)?.[1];
      if (file !== undefined) await Bun.write(join(directory, file), step.output);
      await replay(step, { url: server.url, directory });
    }
  },
  SLOW_TEST_MS,
);

test("the transcripts of the server go as they are written", async () => {
  const all = steps("serve");
  expect(all).toHaveLength(2);
  for (const step of all) {
    using temporary = temporaryDirectory();
    await replay(step, { directory: temporary.path, environment: { KV_PORT: "0" } });
  }
});

test("the page has each command with each of its flags", async () => {
  for (const [name, { load }] of Object.entries(COMMANDS)) {
    const section = PAGE.split(/^## /m).find((text) => text.startsWith(`kv ${name}\n`)) ?? "";
    for (const [flag, definition] of Object.entries(argumentsOf(await load()))) {
      const { type } = definition;
      if (type === "positional" || flag === "url" || flag === "timeout") continue;
      // All commands have the same -o, each with some of its words.
      const words = type === "enum" ? definition.options!.map((word) => `\\b${word}\``) : [];
      const line = new RegExp(words.length === 0 ? `--${flag}\\b` : `-o .*${words.join("[^]*")}`);
      expect(section).toMatch(line);
    }
  }
});

test("the page has each exit code with its meaning", () => {
  const table = [...PAGE.matchAll(/^\| (\d+) +\| (.+?) +\|$/gm)].map(([, code, text]) => [
    code,
    text,
  ]);
  expect(table).toEqual(Object.entries(EXIT_CODES));
});

/** What is typed where the page has it: Ctrl-C, and the answer to a question with its newline. */
const TYPED = /\^C|(?<=\[y\/N\] ).*\n/;

/** Runs a step; what is typed is, once everything before it stands there. */
async function replay({ command, output, exitCode }: Step, options: RunOptions): Promise<void> {
  const session = openShellOnTerminal(command, {
    ...options,
    environment: { ...options.environment, NO_COLOR: "1" },
  });
  const typed = TYPED.exec(output);
  if (typed !== null) {
    const before = output.slice(0, typed.index);
    await session.until((shown) => matches(normalise(shown), before));
    session.type(typed[0] === "^C" ? "\u0003" : typed[0]);
  }
  const code = await session.exited;
  const shown = normalise(session.output);
  // An equal text is shown as a difference of texts when it is not.
  if (!matches(shown, output)) expect(`$ ${command}\n${shown}`).toBe(`$ ${command}\n${output}`);
  expect(`${command}: ${code}`).toBe(`${command}: ${exitCode}`);
}

/** A line of progress, up to where the rest of its line is cleared. */
const REWRITTEN = new RegExp(String.raw`\r[^\r\n]*${"\u001b"}\[K`, "g");

/** The page has one port for the server, plain line ends, and no line that is gone in the end. */
function normalise(shown: string): string {
  const plain = shown.replaceAll("\r\n", "\n").replaceAll(REWRITTEN, "");
  return plain.replaceAll(/127\.0\.0\.1:\d{2,}/g, "127.0.0.1:5000");
}

function matches(shown: string, expected: string): boolean {
  const parts = expected.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join("[^\\n]*")}$`).test(shown);
}
