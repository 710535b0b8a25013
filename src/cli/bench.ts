/** `kv bench`: measures what a running server can do, and leaves nothing behind. */

import { defineCommand } from "citty";
import type { KvClient } from "../client/index.ts";
import { parseServerUrl, type ServerUrl } from "../client/url.ts";
import type { JsonStatus } from "../json.ts";
import { openFrames } from "./bench-frames.ts";
import { openHttp } from "./bench-http.ts";
import { fill, refuseOthers, removeKeys } from "./bench-keys.ts";
import { drive } from "./bench-load.ts";
import {
  benchFlags,
  parseBenchOptions,
  type BenchOptions,
  type Workload,
} from "./bench-options.ts";
import { benchToJson, describeBench, type Measured } from "./bench-report.ts";
import { Tally } from "./bench-tally.ts";
import { driveWatch } from "./bench-watch.ts";
import type { ArgumentRules, CommandHelp } from "./command.ts";
import { connectByFlags, connectionEnvironment } from "./connection.ts";
import { FAILED } from "./exit-codes.ts";
import { interruptible } from "./interruptible.ts";
import { jsonLine, showText, writeErrorLine, writeOut } from "./output.ts";
import { showCount } from "./preview.ts";
import { ProgressLine } from "./progress-line.ts";
import { parseMilliseconds } from "./values.ts";

export const command = defineCommand({
  args: benchFlags,
  async run({ args }) {
    const options = parseBenchOptions(args);
    const timeoutMs = parseMilliseconds("--timeout", args.timeout);
    const client = await connectByFlags(args);
    return interruptible(async (signal) => {
      const status = await client.status({ signal });
      if (!options.force) await refuseOthers(client, options.traffic.prefix, signal);
      const bench = new Bench(client, status, options, timeoutMs, signal);
      const { measured, failure } = await bench.run();
      const json = args.output === "json";
      // Also what was measured before something went wrong.
      if (json) await writeOut(jsonLine(benchToJson(client.url, status, options, measured)));
      else if (measured.length > 0) {
        await writeOut(describeBench(client.url, status, options, measured));
      }
      if (failure !== undefined) throw failure;
      return measured.some(({ tally }) => tally.failures > 0) ? FAILED : 0;
    });
  },
});

export const rules: ArgumentRules = { repeats: true };

export const help: CommandHelp = {
  usage: ["bench [WORKLOAD…] [FLAGS]"],
  environment: connectionEnvironment,
  notes: [
    "Workloads: put and get of any of the keys, mixed, and watch: every connection watches all",
    "keys while one more puts them one after another, and an operation is an event at a watcher.",
    "Each connection sends its next request when it has the answer. The time of a request is that",
    "from its sending to the whole answer; with --pipeline it is that of a frame.",
    "",
    "The first tenth of a time, at most a second, is to warm up: it is not counted, and comes on top.",
    "The load comes from this one process, by connections straight to the server, never through a",
    "proxy. On the server's own machine the two share its processors.",
    "",
    "Its keys are removed at the end, after Ctrl-C too, which shows what was measured until then.",
    "What they were stays in the history of the store until that is compacted. It refuses a prefix",
    "that has other keys; with --force these stay, but those with the name of one of its own.",
  ],
  examples: [
    ["kv bench", "puts, then gets, over 64 connections, each for 10 seconds"],
    ["kv bench get --connections 1 --requests 10000", "how long a get takes when nothing waits"],
    ["kv bench put get --pipeline 100 --connections 8", "in binary frames of 100 operations"],
    ["kv bench watch --connections 1000", "one writer and a thousand watchers"],
    ["kv bench -o json | jq '.results[].perSecond'", "the figures for a script"],
  ],
};

// --- internal ---

class Bench {
  readonly #url: ServerUrl;
  readonly #status: JsonStatus;
  readonly #client: KvClient;
  readonly #options: BenchOptions;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal;

  constructor(
    client: KvClient,
    status: JsonStatus,
    options: BenchOptions,
    timeoutMs: number,
    signal: AbortSignal,
  ) {
    this.#url = parseServerUrl(client.url);
    this.#client = client;
    this.#status = status;
    this.#options = options;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
  }

  /** Runs the workloads, as far as that goes, and takes the keys away whatever has happened. */
  async run(): Promise<{ measured: Measured[]; failure: unknown }> {
    const { workloads, keep } = this.#options;
    const measured: Measured[] = [];
    let failure: unknown;
    try {
      const reading = workloads.some((workload) => workload === "get" || workload === "mixed");
      if (reading) await this.#fill();
      for (const workload of workloads) {
        const tally = new Tally();
        await this.#measure(workload, tally);
        measured.push({ workload, tally });
        this.#signal.throwIfAborted();
      }
    } catch (error) {
      failure = error;
    }
    const left = keep ? undefined : await this.#remove();
    failure ??= left;
    return { measured, failure };
  }

  async #fill(): Promise<void> {
    const { traffic } = this.#options;
    const progress = new ProgressLine("putting the keys");
    const show = (done: number): void => progress.show(() => `${percent(done, traffic.keys)} %`);
    try {
      await fill(this.#client, traffic, this.#status.limits, show, this.#signal);
    } finally {
      progress.clear();
    }
  }

  async #measure(workload: Workload, tally: Tally): Promise<void> {
    const { connections, span, pipeline } = this.#options;
    const progress = new ProgressLine(workload);
    const reads = { put: 0, get: 100, mixed: this.#options.reads, watch: 0 }[workload];
    const traffic = { ...this.#options.traffic, reads };
    const common = {
      span,
      timeoutMs: this.#timeoutMs,
      signal: this.#signal,
      onProgress: () => progress.show(() => progressOf(tally, span)),
    };
    try {
      if (workload === "watch") {
        await driveWatch({ ...common, url: this.#url, traffic, watchers: connections }, tally);
        return;
      }
      const url = this.#url;
      const plan = { ...common, connections, batch: pipeline ?? 1 };
      await drive(
        pipeline === undefined
          ? { ...plan, open: (events) => openHttp(url, traffic, events) }
          : { ...plan, open: (events) => openFrames(url, traffic, pipeline, events) },
        tally,
      );
    } finally {
      progress.clear();
    }
  }

  /**
   * Not with the signal: this has to be done after Ctrl-C too. Answers what it failed with, as soon
   * as it has said what that means.
   */
  async #remove(): Promise<unknown> {
    const { traffic } = this.#options;
    const progress = new ProgressLine("removing the keys");
    const show = (done: number): void => progress.show(() => `${percent(done, traffic.keys)} %`);
    try {
      await removeKeys(this.#client, traffic, this.#status.limits, show);
      return undefined;
    } catch (error) {
      progress.clear();
      const which = `those under ${showText(traffic.prefix)}`;
      writeErrorLine(`kv bench: its keys could not be removed: ${which} are still there`);
      return error;
    } finally {
      progress.clear();
    }
  }
}

function progressOf(tally: Tally, span: BenchOptions["span"]): string {
  const { operations, elapsedMs, failures } = tally;
  const rate = `${whole(tally.perSecond)}/s`;
  const errors = failures === 0 ? "" : `, ${showCount(failures, "error")}`;
  return "milliseconds" in span
    ? `${seconds(elapsedMs)} s of ${seconds(span.milliseconds)} s, ${rate}${errors}`
    : `${showCount(operations, "operation")}, ${rate}${errors}`;
}

function whole(number: number): string {
  return Math.round(number).toLocaleString("en-US");
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1_000).toFixed(1);
}

function percent(done: number, of: number): number {
  return Math.floor((100 * done) / of);
}
