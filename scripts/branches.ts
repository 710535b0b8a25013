/**
 * Branches of sources and whether they were taken, out of Istanbul's counts; and the list of those
 * that are not, each with its reason, held against them. Knows no test and runs nothing.
 */

/** What Istanbul counts in one file, as far as it is used here. */
export interface FileCounts {
  readonly path: string;
  readonly branchMap: Readonly<Record<string, CountedBranch>>;
  /** How often each way of a branch was taken. */
  readonly b: Readonly<Record<string, readonly number[]>>;
}

interface CountedBranch {
  readonly type: string;
  readonly loc: Place;
  readonly locations: readonly Place[];
}

interface Place {
  readonly start: { readonly line?: number; readonly column?: number };
}

/** One way that a condition can go. */
export interface Branch {
  /** Counted from 1. */
  readonly line: number;
  /** The source of the condition's line and which way it is: stays when other lines change. */
  readonly name: string;
  readonly taken: boolean;
}

/** Of each file the branches that no test takes, by name, and why. */
export type Reasons = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** What a reason begins with where a branch is taken in some runs only: it may be covered. */
export const SOMETIMES = "sometimes: ";

/** The branches of a file, in the order of its lines. */
export function branchesOf({ branchMap, b }: FileCounts, source: string): Branch[] {
  const lines = source.split("\n");
  const seen = new Map<string, number>();
  return Object.entries(branchMap)
    .toSorted(([, one], [, other]) => compare(one.loc, other.loc))
    .flatMap(([id, { type, loc, locations }]) =>
      locations.map((place, way) => {
        const line = loc.start.line ?? 0;
        const text = `${lines[line - 1]!.trim()} → ${wayOf(type, way, place, lines)}`;
        const count = (seen.get(text) ?? 0) + 1;
        seen.set(text, count);
        const name = count === 1 ? text : `${text} (${count})`;
        return { line, name, taken: b[id]![way]! > 0 };
      }),
    );
}

/** What is wrong with the list: a branch without a reason, or a reason without its branch. */
export function faultsOf(
  files: ReadonlyMap<string, readonly Branch[]>,
  reasons: Reasons,
): string[] {
  const faults: string[] = [];
  for (const [file, branches] of files) {
    for (const { line, name, taken } of branches) {
      const reason = reasons[file]?.[name];
      if (!taken && !reason)
        faults.push(`${file}:${line} is not covered, without a reason: ${name}`);
      if (taken && reason !== undefined && !reason.startsWith(SOMETIMES)) {
        faults.push(`${file}:${line} is listed, and is covered: ${name}`);
      }
    }
  }
  for (const [file, listed] of Object.entries(reasons)) {
    const names = new Set(files.get(file)?.map(({ name }) => name));
    for (const name of Object.keys(listed)) {
      if (!names.has(name)) faults.push(`${file} has no such branch: ${name}`);
    }
  }
  return faults;
}

/** The list as it should be: known reasons stay, new branches have an empty one. */
export function listOf(files: ReadonlyMap<string, readonly Branch[]>, known: Reasons): Reasons {
  const list: Record<string, Record<string, string>> = {};
  for (const [file, branches] of files) {
    const open = branches.flatMap(({ name, taken }) => {
      const reason = known[file]?.[name];
      if (taken && !reason?.startsWith(SOMETIMES)) return [];
      return [[name, reason ?? ""] as const];
    });
    if (open.length > 0) list[file] = Object.fromEntries(open);
  }
  return list;
}

// --- internal ---

/** Characters of a condition's part that name it. */
const PART_MAX = 50;

function wayOf(type: string, way: number, place: Place, lines: readonly string[]): string {
  if (type === "if" || type === "cond-expr") return way === 0 ? "yes" : "no";
  if (type === "default-arg") return "left out";
  const { line = 1, column = 0 } = place.start;
  const part = lines[line - 1]!.slice(column, column + PART_MAX).trim();
  return `${type === "switch" ? "case" : "as far as"} ${part}`;
}

function compare(one: Place, other: Place): number {
  const [a, b] = [one.start, other.start];
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}
