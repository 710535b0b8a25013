/** What exit codes mean, for help: over all commands, and of each. */

/** What each exit code means, over all commands. */
export const EXIT_CODES: Readonly<Record<number, string>> = {
  0: "done",
  1: "any other failure",
  2: "wrong usage, or the server refused an argument",
  3: "the key is absent",
  4: "a condition did not hold, or not until the timeout of kv wait",
  5: "not allowed",
  6: "no server reached, it is not available, or no answer in time: a write may have been applied",
  7: "the revision is compacted",
  8: "too large, or the disk is full",
  130: "interrupted by Ctrl-C",
};

/** The exit codes that a command can have, each with what it means there. */
export function exitCodesOf(command: string): [code: number, meaning: string][] {
  const { codes, meanings } = BY_COMMAND[command]!;
  return codes.map((code) => [code, meanings[code] ?? EXIT_CODES[code]!]);
}

// --- internal ---

interface CommandCodes {
  readonly codes: readonly number[];
  /** Where they mean less than over all commands. */
  readonly meanings: Readonly<Record<number, string>>;
}

const WRITING = { 4: "a condition did not hold" };
const READING = {
  6: "no server reached, it is not available, or no answer in time",
  8: "too large",
};
/** The server itself, and the question whether it is ready: whatever goes wrong there is 1. */
const LOCAL = { 2: "wrong usage" };

const BY_COMMAND: Readonly<Record<string, CommandCodes>> = {
  serve: { codes: [0, 1, 2, 130], meanings: LOCAL },
  get: { codes: [0, 1, 2, 3, 5, 6, 7, 8, 130], meanings: READING },
  put: { codes: [0, 1, 2, 4, 5, 6, 8, 130], meanings: WRITING },
  del: { codes: [0, 1, 2, 3, 4, 5, 6, 8, 130], meanings: WRITING },
  ls: { codes: [0, 1, 2, 5, 6, 7, 8, 130], meanings: READING },
  watch: { codes: [0, 1, 2, 5, 6, 7, 8, 130], meanings: READING },
  wait: {
    codes: [0, 1, 2, 3, 4, 5, 6, 7, 8, 130],
    meanings: {
      ...READING,
      3: "with --revision: the key was deleted",
      4: "it was not so until the timeout",
      6: "no server was reached at the timeout",
    },
  },
  incr: {
    codes: [0, 1, 2, 4, 5, 6, 8, 130],
    meanings: { 4: "no integer, or no room for the sum" },
  },
  touch: { codes: [0, 1, 2, 3, 4, 5, 6, 8, 130], meanings: WRITING },
  history: {
    codes: [0, 1, 2, 3, 5, 6, 7, 8, 130],
    meanings: { ...READING, 3: "the key has no change that is kept" },
  },
  txn: {
    codes: [0, 1, 2, 3, 4, 5, 6, 8, 130],
    meanings: { 3: "touch of an absent key", 4: "a check did not hold, or an incr could not be" },
  },
  compact: { codes: [0, 1, 2, 5, 6, 7, 8, 130], meanings: WRITING },
  backup: {
    codes: [0, 1, 2, 5, 6, 7, 8, 130],
    meanings: { ...READING, 7: "the history after N is forgotten", 8: "the disk is full" },
  },
  restore: {
    codes: [0, 1, 2, 4, 8, 130],
    meanings: {
      1: "a backup is broken or cannot be read, or any other failure",
      2: "wrong usage, or the backups do not follow each other",
      4: "the directory is not empty, or in use",
      8: "the disk is full",
    },
  },
  check: {
    codes: [0, 1, 2, 3, 4, 8, 130],
    meanings: {
      1: "it is damaged; with --repair: something is lost; or any other failure",
      2: "wrong usage",
      3: "there is no store",
      4: "a running kv has it open, or the directory of --into is not empty",
      8: "the disk is full",
    },
  },
  status: { codes: [0, 1, 2, 5, 6, 130], meanings: READING },
  bench: {
    codes: [0, 1, 2, 4, 5, 6, 8, 130],
    meanings: {
      1: "requests failed, and the figures say how many; or any other failure",
      4: "the prefix has other keys",
      6: "no server reached, or no answer in time",
      8: "too large, or the disk of the server is full",
    },
  },
  health: { codes: [0, 1, 2, 130], meanings: { ...LOCAL, 1: "not ready, whatever the reason" } },
};
