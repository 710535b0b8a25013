/** What a workload of the bench is: lines of the table, and how the two figures of each are taken. */

import type { LoaderProcess } from "./loader-process.ts";

/** A program that has to be on the PATH for a line. */
export type Tool =
  "redis-server" | "redis-cli" | "redis-benchmark" | "etcd" | "etcdctl" | "nats-server";

/** One figure, taken in one round. */
export interface Sample {
  readonly value: number;
  /** Cores that the server was busy with meanwhile, where that was looked at. */
  readonly serverCores?: number;
  /** Cores that the loader was busy with; near 1, it is the loader that is the limit. */
  readonly loaderCores?: number;
  /** Microseconds of a core that the server took for one answer, with all its threads. */
  readonly serverMicros?: number;
}

/** How the ratio of kv's figure to the other one has to be: at least, or at most. */
export type Goal = { readonly least: number } | { readonly most: number };

/** A line of the table. */
export interface Line {
  /** What it is called on the command line: `get-redis`. */
  readonly name: string;
  readonly title: string;
  /** What kv is held against. */
  readonly against: string;
  readonly unit: "/s" | "MiB" | "ms" | "µs";
  /** `undefined`: a line for comparison only. */
  readonly goal: Goal | undefined;
  /** Without all of these the line is skipped. */
  readonly needs: readonly Tool[];
  /** Rounds at most, where one takes long or the figure does not vary. */
  readonly roundsMax?: number;
  /** Is there a round before the first that does not count? There is, when left out. */
  readonly isWarmed?: boolean;
}

/** The two sides of a line, with their servers up and filled. */
export interface Pair {
  kv(): Promise<Sample>;
  peer(): Promise<Sample>;
}

/** What a run of the bench gives to its workloads. */
export interface Bench {
  readonly loader: LoaderProcess;
  /** Keys of most workloads. */
  readonly keys: number;
  /** Keys where a peer takes long to be filled. */
  readonly slowKeys: number;
  /** Keys of those that ask what many keys do. */
  readonly manyKeys: number;
  /** Entries of the range that is read as a whole. */
  readonly rangeKeys: number;
  /** Milliseconds between the loading of many keys and the look at the memory. */
  readonly settleMs: number;
  /** Milliseconds of load for one sample. */
  readonly milliseconds: number;
  /** Says on stderr what is being done now. */
  progress(doing: string): void;
}

/** One file of `workloads/`: lines that share their servers. */
export interface Workload {
  readonly lines: readonly Line[];
  /** Starts what the lines asked for need; `stack` ends it. A pair for each of the names. */
  open(
    bench: Bench,
    stack: AsyncDisposableStack,
    names: ReadonlySet<string>,
  ): Promise<Readonly<Record<string, Pair>>>;
}
