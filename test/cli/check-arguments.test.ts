/** How a command line is read, by itself: what is refused, and what a command gets to see. */

import { describe, expect, test } from "bun:test";
import { parseArgs, type ArgsDef } from "citty";
import {
  assert,
  property,
  record,
  string,
  stringMatching,
  subarray,
  uniqueArray,
} from "fast-check";
import { checkArguments } from "../../src/cli/arguments.ts";
import { UsageError } from "../../src/cli/failure.ts";
import { rounds } from "../support/rounds.ts";

const definitions: ArgsDef = {
  key: { type: "positional", required: true },
  value: { type: "positional", required: false },
  limit: { type: "string" },
  "if-absent": { type: "boolean" },
  null: { type: "boolean", alias: "0" },
  output: { type: "enum", alias: "o", options: ["raw", "json"] },
};

/** What a command gets to see of a command line. */
function parse(...argv: string[]): Record<string, unknown> {
  const checked = checkArguments(argv, definitions);
  if (checked.help) return { help: true };
  const parsed = checked.args;
  return {
    positionals: parsed._,
    key: parsed["key"],
    value: parsed["value"],
    limit: parsed["limit"],
    absent: parsed["if-absent"],
    null: parsed["null"],
    output: parsed["output"],
  };
}

function refusal(...argv: string[]): string {
  try {
    parse(...argv);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error(`accepted: ${JSON.stringify(argv)}`);
}

describe("what is accepted", () => {
  test("flags may stand before, between and behind arguments", () => {
    for (const argv of [
      ["--limit", "3", "k", "v"],
      ["k", "--limit=3", "v"],
      ["k", "v", "--limit", "3"],
    ]) {
      expect(parse(...argv)).toMatchObject({ key: "k", value: "v", limit: "3" });
    }
  });

  test("a short flag takes its value behind a space, an equals sign or directly", () => {
    for (const argv of [["-o", "json"], ["-o=json"], ["-ojson"], ["--output", "json"]]) {
      expect(parse("k", ...argv)).toMatchObject({ key: "k", output: "json" });
    }
  });

  test("a negative number is an argument and a value", () => {
    expect(parse("n", "-5")).toMatchObject({ key: "n", value: "-5" });
    expect(parse("n", "-.5", "--limit", "-1")).toMatchObject({ value: "-.5", limit: "-1" });
    expect(parse("n", "-0x1f")).toMatchObject({ value: "-0x1f" });
  });

  test("a digit that is a flag is the flag", () => {
    expect(parse("k", "-0")).toMatchObject({ key: "k", value: undefined, null: true });
  });

  test("a dash alone is an argument", () => {
    expect(parse("k", "-")).toMatchObject({ key: "k", value: "-" });
    expect(parse("k", "--")).toMatchObject({ key: "k", value: undefined });
  });

  test("empty arguments and empty values are kept", () => {
    expect(parse("k", "", "--limit", "")).toMatchObject({ key: "k", value: "", limit: "" });
  });

  test("the words of the language are no flags and no surprise", () => {
    expect(parse("--", "__proto__", "constructor")).toMatchObject({
      key: "__proto__",
      value: "constructor",
    });
    expect(parse("toString", "--limit=__proto__")).toMatchObject({ limit: "__proto__" });
  });

  test("help is asked for anywhere before the double dash, and nowhere behind it", () => {
    expect(parse("k", "--help")).toEqual({ help: true });
    expect(parse("-h", "k", "v", "too", "many")).toEqual({ help: true });
    expect(parse("k", "--", "--help")).toMatchObject({ key: "k", value: "--help" });
  });

  test("behind the double dash every text comes through unchanged", () => {
    assert(
      property(string({ unit: "grapheme" }), string(), (key, value) => {
        expect(parse("--", key, value)).toMatchObject({ positionals: [key, value], key, value });
      }),
      { numRuns: rounds(300) },
    );
  });

  test("every text comes through as the value of a flag with an equals sign", () => {
    assert(
      property(string(), (limit) => {
        expect(parse("k", `--limit=${limit}`)).toMatchObject({ positionals: ["k"], limit });
      }),
      { numRuns: rounds(300) },
    );
  });
});

describe("what a command gets to see", () => {
  const flags: [string, string | true][] = [
    ["limit", "3"],
    ["limit", "none"],
    ["if-absent", true],
    ["null", true],
    ["output", "json"],
  ];
  const lines = record({
    given: subarray(flags),
    positionals: uniqueArray(stringMatching(/^[a-z /.-]*$/), { minLength: 1, maxLength: 2 }),
  });

  test("is what citty reads by the same definitions, from a line that it cannot misread", () => {
    const withDefault: ArgsDef = { ...definitions, timeout: { type: "string", default: "10s" } };
    assert(
      property(lines, ({ given, positionals }) => {
        const named = new Map(given);
        const spelled = [...named].map(([name, value]) =>
          value === true ? `--${name}` : `--${name}=${value}`,
        );
        const argv = [...spelled, "--", ...positionals];
        const checked = checkArguments(argv, withDefault);
        if (checked.help) throw new Error("help");
        const wanted = parseArgs(argv, withDefault);
        for (const name of ["_", ...Object.keys(withDefault)]) {
          expect(checked.args[name]).toEqual(wanted[name]!);
        }
      }),
      { numRuns: rounds(300) },
    );
  });
});

describe("rules of a command", () => {
  const watch = { repeats: true, repeatedFlags: ["limit"], runsCommand: true };

  function check(...argv: string[]): { keys: string[]; limits: unknown; commandLine: unknown } {
    const checked = checkArguments(argv, definitions, watch);
    if (checked.help) throw new Error("help");
    const { values, commandLine } = checked.more;
    return {
      keys: checked.args._,
      limits: values["limit"],
      commandLine,
    };
  }

  test("the last argument may stand for any number", () => {
    expect(check("a", "b", "c", "d").keys).toEqual(["a", "b", "c", "d"]);
  });

  test("a flag that may be repeated keeps all its values, in order", () => {
    expect(check("k", "--limit", "2", "v", "--limit=1", "--limit", "").limits).toEqual([
      "2",
      "1",
      "",
    ]);
    expect(check("k").limits).toEqual([]);
    expect(() => check("k", "-0", "-0")).toThrow("-0 is given twice");
  });

  test("behind the double dash stands a command, whatever its arguments look like", () => {
    const commandLine = ["sh", "-c", "--help", "--", "--limit", "-0", ""];
    expect(check("k", "--limit=1", "--", ...commandLine)).toEqual({
      keys: ["k"],
      limits: ["1"],
      commandLine,
    });
    expect(check("k").commandLine).toBe(undefined);
  });

  test("a double dash without a command behind it is refused", () => {
    expect(() => check("k", "--")).toThrow("the command to run behind -- is missing");
    expect(() => check("k", "-x")).toThrow(/^unknown flag "-x"$/);
  });
});

describe("what is refused", () => {
  const REFUSALS: readonly [argv: string[], message: string][] = [
    [[], "KEY is missing"],
    [["k", "v", "w"], 'unexpected argument "w" behind VALUE'],
    [["k", "--limt", "3"], "did you mean --limit?"],
    [["k", "--Limit", "3"], "did you mean --limit?"],
    [["k", "--limt=3"], 'unknown flag "--limt"; did you mean --limit?'],
    [["k", "--hlep"], "did you mean --help?"],
    [["k", "-x"], "write -- before an argument that begins with a dash"],
    [["k", "--no-if-absent"], "unknown flag"],
    [["k", "--limit"], "--limit needs a value"],
    [["k", "--limit", "--null"], "write one that begins with a dash as --limit=--null"],
    [["k", "-o", "-h"], "-o needs a value"],
    [["k", "--limit", "1", "--limit", "2"], "--limit is given twice"],
    [["k", "-o", "json", "--output", "raw"], "--output is given twice"],
    [["k", "--if-absent=true"], "--if-absent takes no value"],
    [["k", "--help=1"], "--help takes no value"],
    [["k", "-o", "jsn"], '-o cannot be "jsn"; did you mean "json"?'],
    [["k", "-o", ""], 'cannot be ""'],
    [["k", "--__proto__"], "unknown flag"],
    [["k", "--constructor", "x"], "unknown flag"],
  ];

  test.each(REFUSALS)("%j", (argv, message) => {
    expect(refusal(...argv)).toContain(message);
  });
});
