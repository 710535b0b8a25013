/** The help: complete for each command, on stdout, plain text unless a person looks at it. */

import { describe, expect, test } from "bun:test";
import manifest from "../../package.json" with { type: "json" };
import { COMMANDS } from "../../src/cli/commands.ts";
import { EXIT_CODES } from "../../src/cli/exit-meanings.ts";
import { expectFailure, kv, onTerminal } from "./rig.ts";

const names = Object.keys(COMMANDS);

test("kv alone, kv help, kv --help and kv -h print the same overview", async () => {
  const overviews = await Promise.all([[], ["help"], ["--help"], ["-h"]].map((argv) => kv(argv)));
  const [first] = overviews;
  for (const { stdout, stderr, exitCode } of overviews) {
    expect({ stdout, stderr, exitCode }).toEqual({
      stdout: first!.stdout,
      stderr: "",
      exitCode: 0,
    });
  }
  for (const name of names) expect(first!.stdout).toMatch(new RegExp(`^  ${name} +\\S`, "m"));
});

test("the version is that of the package", async () => {
  for (const flag of ["--version", "-V"]) {
    const { stdout, exitCode } = await kv([flag]);
    expect({ stdout, exitCode }).toEqual({ stdout: `${manifest.version}\n`, exitCode: 0 });
  }
});

describe.each(names)("kv %s", (name) => {
  test("--help, -h and kv help print the same, also beside other arguments", async () => {
    const forms = [
      [name, "--help"],
      [name, "-h"],
      ["help", name],
      ["--help", name],
      [name, "a", "-h"],
    ];
    const texts = await Promise.all(forms.map((argv) => kv(argv)));
    for (const { stdout, stderr, exitCode } of texts) {
      expect({ stdout, stderr, exitCode }).toEqual({
        stdout: texts[0]!.stdout,
        stderr: "",
        exitCode: 0,
      });
    }
  });

  test("the help has usage, flags, environment, exit codes and examples", async () => {
    const { stdout } = await kv([name, "--help"]);
    for (const title of ["Usage:", "Flags:", "Environment:", "Exit codes:", "Examples:"]) {
      expect(stdout).toContain(`\n${title}\n`);
    }
    expect(stdout).toMatch(new RegExp(`^  kv ${name}\\b`, "m"));
    expect(stdout).toMatch(new RegExp(`^  0 +${EXIT_CODES[0]}$`, "m"));
    expect(stdout).not.toContain("undefined");
    expect(stdout).not.toContain("\u001b");
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
  });
});

test("help for what does not exist names the nearest command", async () => {
  expectFailure(await kv(["help", "wacth"]), 2, "did you mean kv watch?");
  expectFailure(await kv(["help", "get", "put"]), 2, 'unexpected argument "put"');
});

test("headings are bold on a terminal, and plain with NO_COLOR", async () => {
  const help = ["get", "--help"];
  expect((await onTerminal(help)).output).toContain("\u001b[1mUsage:\u001b[22m");
  for (const [name, value] of [
    ["NO_COLOR", "1"],
    ["TERM", "dumb"],
  ] as const) {
    const environment = { [name]: value };
    expect((await onTerminal(help, { environment })).output).not.toContain("\u001b");
  }
});
