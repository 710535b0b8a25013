/** Takes the samples: rounds that alternate between the sides, after one that does not count. */

import { median, ratios, spread, type Spread } from "./statistics.ts";
import type { Bench, Goal, Line, Pair, Sample, Tool, Workload } from "./workload.ts";

/** A line of the table, with what was measured, or why it was not. */
export type Result = Measured | Skipped;

export interface Measured {
  readonly line: Line;
  readonly kv: Side;
  readonly peer: Side;
  /** Of kv's figure to the other, round by round. */
  readonly ratio: Spread;
  /** `undefined` where there is no goal. */
  readonly isMet: boolean | undefined;
}

export interface Skipped {
  readonly line: Line;
  readonly skipped: string;
}

export interface Side {
  readonly median: number;
  readonly values: readonly number[];
  /** Medians, where they were looked at. */
  readonly serverCores?: number;
  readonly loaderCores?: number;
  readonly serverMicros?: number;
}

export interface RunOptions {
  readonly bench: Bench;
  readonly rounds: number;
  readonly isThere: (tool: Tool) => boolean;
  readonly onResult: (result: Result) => void;
}

/** Runs the lines that `names` has of the workloads, in their order. @throws the first error of any. */
export async function runAll(
  workloads: readonly Workload[],
  names: ReadonlySet<string>,
  { bench, rounds, isThere, onResult }: RunOptions,
): Promise<void> {
  for (const workload of workloads) {
    const wanted = workload.lines.filter(({ name }) => names.has(name));
    const lines: Line[] = [];
    for (const line of wanted) {
      const missing = line.needs.filter((tool) => !isThere(tool));
      if (missing.length === 0) lines.push(line);
      else onResult({ line, skipped: `${missing.join(" and ")} not on the PATH` });
    }
    if (lines.length === 0) continue;
    await using stack = new AsyncDisposableStack();
    bench.progress(`${lines[0]!.name}: starting`);
    const pairs = await workload.open(bench, stack, new Set(lines.map(({ name }) => name)));
    for (const line of lines) onResult(await compare(bench, line, pairs[line.name]!, rounds));
  }
}

/** All rounds of one line. */
export async function compare(
  bench: Bench,
  line: Line,
  pair: Pair,
  rounds: number,
): Promise<Measured> {
  const kv: Sample[] = [];
  const peer: Sample[] = [];
  const count = Math.min(rounds, line.roundsMax ?? rounds);
  // Once without counting, so that both have compiled what is hot.
  const isWarmed = line.isWarmed ?? true;
  for (let round = isWarmed ? 0 : 1; round <= count; round++) {
    bench.progress(`${line.name}: ${round === 0 ? "warming up" : `round ${round} of ${count}`}`);
    // Whoever is first in one round is second in the next.
    const order = round % 2 === 0 ? (["kv", "peer"] as const) : (["peer", "kv"] as const);
    for (const side of order) {
      const sample = await pair[side]();
      if (round > 0) (side === "kv" ? kv : peer).push(sample);
    }
  }
  const ratio = spread(ratios(valuesOf(kv), valuesOf(peer)));
  return { line, kv: sideOf(kv), peer: sideOf(peer), ratio, isMet: isMet(line.goal, ratio.median) };
}

// --- internal ---

/** What was looked at in every sample, in the middle. */
const LOOKED_AT = ["serverCores", "loaderCores", "serverMicros"] as const;

function sideOf(samples: readonly Sample[]): Side {
  const values = valuesOf(samples);
  const looked = LOOKED_AT.flatMap((name) => {
    const seen = samples.map((sample) => sample[name]).filter((value) => value !== undefined);
    return seen.length === 0 ? [] : [[name, median(seen)] as const];
  });
  return { median: median(values), values, ...Object.fromEntries(looked) };
}

function valuesOf(samples: readonly Sample[]): number[] {
  return samples.map(({ value }) => value);
}

function isMet(goal: Goal | undefined, ratio: number): boolean | undefined {
  if (goal === undefined) return undefined;
  return "least" in goal ? ratio >= goal.least : ratio <= goal.most;
}
