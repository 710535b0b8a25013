/** The command line of the bench. */

export interface Arguments {
  readonly rounds: number;
  readonly isQuick: boolean;
  /** Names of lines; none = all. */
  readonly names: readonly string[];
  readonly json: string | undefined;
  readonly svg: string | undefined;
  readonly markdown: string | undefined;
  /** Where the servers keep their data. */
  readonly directory: string | undefined;
  readonly isHelp: boolean;
}

export const USAGE = `bun run bench [NAME…] [--rounds N] [--quick] [--json FILE] [--svg FILE] [--markdown FILE] [--directory DIR]

  NAME         lines to run; all when left out
  --rounds N   rounds of each line, ${10} when left out, 3 with --quick
  --quick      short rounds and fewer keys: to see that all is well, not for figures
  --json FILE, --svg FILE, --markdown FILE
               where to write results, chart and table
  --directory DIR
               where servers keep their data: a real file system, not one in memory
`;

/** @throws Error for what is not known or makes no sense. */
export function parseArguments(words: readonly string[]): Arguments {
  const values = new Map<string, string>();
  const names: string[] = [];
  let isQuick = false;
  let isHelp = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === "--quick") isQuick = true;
    else if (word === "--help") isHelp = true;
    else if (WITH_VALUE.has(word)) {
      const value = words[++at];
      if (value === undefined) throw new Error(`${word} needs a value`);
      values.set(word, value);
    } else if (word.startsWith("-")) throw new Error(`there is no flag ${word}`);
    else names.push(word);
  }
  const rounds = Number(values.get("--rounds") ?? (isQuick ? ROUNDS_QUICK : ROUNDS));
  if (!Number.isSafeInteger(rounds) || rounds < 1) {
    throw new Error("--rounds is a whole number from 1");
  }
  return {
    rounds,
    isQuick,
    isHelp,
    names,
    json: values.get("--json"),
    svg: values.get("--svg"),
    markdown: values.get("--markdown"),
    directory: values.get("--directory"),
  };
}

// --- internal ---

const ROUNDS = 10;
const ROUNDS_QUICK = 3;
const WITH_VALUE = new Set(["--rounds", "--json", "--svg", "--markdown", "--directory"]);
