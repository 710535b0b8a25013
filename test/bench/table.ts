/** The results as a table: for a terminal, and in Markdown. */

import type { Result, Side } from "./runner.ts";
import type { Goal, Line } from "./workload.ts";

/** Columns padded with spaces; figures to the right. */
export function terminalTable(results: readonly Result[]): string {
  return padded([TITLES, ...results.map(rowOf)], RIGHT);
}

export function markdownTable(results: readonly Result[]): string {
  return markdown([TITLES, ...results.map(rowOf)], RIGHT);
}

/**
 * The time that servers took of the cores, for one answer: it says less of what a client gets, and
 * more of what the server does, since it hardly depends on what else runs on the machine.
 */
export function processorTables(results: readonly Result[]): {
  terminal: string;
  markdown: string;
} {
  const rows = [PROCESSOR_TITLES, ...results.flatMap(processorRow)];
  return {
    terminal: padded(rows, PROCESSOR_RIGHT),
    markdown: markdown(rows, PROCESSOR_RIGHT),
  };
}

/** `≥ 0.90` */
export function showGoal(goal: Goal | undefined): string {
  if (goal === undefined) return "";
  return "least" in goal ? `≥ ${goal.least.toFixed(2)}` : `≤ ${goal.most.toFixed(2)}`;
}

/** Three digits that count, with a unit: `101 k/s`, `2.05 GiB`, `1.23 ms`. */
export function showFigure(value: number, unit: Line["unit"]): string {
  switch (unit) {
    case "/s":
      if (value >= 1e6) return `${digits(value / 1e6)} M/s`;
      return value >= 1e4 ? `${digits(value / 1e3)} k/s` : `${digits(value)}/s`;
    case "MiB":
      return value >= 1_024 ? `${digits(value / 1_024)} GiB` : `${digits(value)} MiB`;
    case "ms":
      return value >= 1_000 ? `${digits(value / 1_000)} s` : `${digits(value)} ms`;
    case "µs":
      return value >= 1_000 ? `${digits(value / 1_000)} ms` : `${digits(value)} µs`;
  }
}

/** Lines for which the one who measured was busier than the one who was measured. */
export function loaderNotes(results: readonly Result[]): string[] {
  return results.flatMap((result) => {
    if ("skipped" in result) return [];
    const sides = [
      ["kv", result.kv],
      [result.line.against, result.peer],
    ] as const;
    return sides
      .filter(([, side]) => isLoaderTheLimit(side))
      .map(([name, side]) => {
        const { name: line } = result.line;
        const loader = side.loaderCores!.toFixed(2);
        const server = side.serverCores!.toFixed(2);
        return `${line}: with ${name} the loader was the limit (${loader} cores, the server ${server})`;
      });
  });
}

// --- internal ---

const TITLES = [
  "Workload",
  "Against",
  "kv",
  "Other",
  "Ratio",
  "From",
  "To",
  "Goal",
  "Reached",
] as const;
/** Of figures. */
const RIGHT: ReadonlySet<number> = new Set([2, 3, 4, 5, 6, 7]);

const PROCESSOR_TITLES = [
  "Processor time of the server for one answer",
  "Against",
  "kv",
  "Other",
  "Ratio",
] as const;
const PROCESSOR_RIGHT: ReadonlySet<number> = new Set([2, 3, 4]);

function padded(rows: readonly (readonly string[])[], right: ReadonlySet<number>): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => {
    const cells = row.map((cell, column) => {
      const width = widths[column]!;
      return right.has(column) ? cell.padStart(width) : cell.padEnd(width);
    });
    return `${cells.join("  ").trimEnd()}\n`;
  });
  return lines.join("");
}

function markdown(rows: readonly (readonly string[])[], right: ReadonlySet<number>): string {
  const [titles, ...rest] = rows;
  const rule = titles!.map((_, column) => (right.has(column) ? "---:" : "---"));
  return [titles!, rule, ...rest].map(markdownLine).join("");
}

function processorRow(result: Result): string[][] {
  if ("skipped" in result) return [];
  const { line, kv, peer } = result;
  if (kv.serverMicros === undefined || peer.serverMicros === undefined) return [];
  // The kernel counts in hundredths of a second: of next to nothing there is no ratio.
  if (peer.serverMicros === 0) return [];
  const figures = [kv.serverMicros, peer.serverMicros].map((value) => showFigure(value, "µs"));
  return [[line.title, line.against, ...figures, digits(kv.serverMicros / peer.serverMicros)]];
}

function rowOf(result: Result): string[] {
  const { title, against, unit, goal } = result.line;
  if ("skipped" in result) {
    return [title, against, "", "", "", "", "", showGoal(goal), `skipped: ${result.skipped}`];
  }
  const { kv, peer, ratio, isMet } = result;
  return [
    title,
    against,
    showFigure(kv.median, unit),
    showFigure(peer.median, unit),
    ...[ratio.median, ratio.least, ratio.most].map(digits),
    showGoal(goal),
    isMet === undefined ? "" : isMet ? "yes" : "no",
  ];
}

function markdownLine(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
}

function digits(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Busy all the time, while the server had time left. */
function isLoaderTheLimit({ serverCores, loaderCores }: Side): boolean {
  if (serverCores === undefined || loaderCores === undefined) return false;
  return loaderCores > 0.95 && serverCores < 0.9;
}
