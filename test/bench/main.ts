/**
 * `bun run bench`: what kv does, beside what people would use instead, on the same machine in the same
 * run. What counts are the ratios; see README.md beside this file.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { build, isStale } from "../../scripts/build.ts";
import { isThere } from "../support/needs.ts";
import { parseArguments, USAGE, type Arguments } from "./arguments.ts";
import { drawChart } from "./chart.ts";
import { LoaderProcess } from "./loader-process.ts";
import { describeMachine, showMachine, type Machine } from "./machine.ts";
import { runAll, type Result } from "./runner.ts";
import { loaderNotes, markdownTable, processorTables, terminalTable } from "./table.ts";
import { workloads } from "./workloads.ts";
import type { Bench } from "./workload.ts";

/** Said below the tables. */
const QUICK_NOTE = "quick: short rounds, and a tenth of the keys where there are to be many";

try {
  const given = parseArguments(process.argv.slice(2));
  if (given.isHelp) console.log(USAGE + lineNames());
  else await main(given);
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}

// --- internal ---

async function main(given: Arguments): Promise<void> {
  const names = chosen(given.names);
  if (isStale()) build();
  if (given.directory !== undefined) {
    mkdirSync(given.directory, { recursive: true });
    // Every directory of this run and of the processes it starts is made below.
    process.env["TMPDIR"] = given.directory;
  }
  const machine = describeMachine(tmpdir());
  process.stderr.write(showMachine(machine));
  if (machine.fileSystem === "tmpfs") {
    throw new Error(`${tmpdir()} is in memory, where a sync costs nothing; give a --directory`);
  }
  const results: Result[] = [];
  await using loader = new LoaderProcess();
  try {
    await runAll(workloads, names, {
      bench: makeBench(loader, given.isQuick),
      rounds: given.rounds,
      isThere,
      onResult: (result) => void results.push(result),
    });
  } finally {
    // Whatever ended the run, what was measured before is worth being seen.
    clearProgress();
    show(given, results);
    write(given, machine, results);
  }
}

function show(given: Arguments, results: readonly Result[]): void {
  console.log(`${terminalTable(results)}\n${processorTables(results).terminal}`);
  for (const note of loaderNotes(results)) console.log(note);
  if (given.isQuick) console.log(QUICK_NOTE);
}

function chosen(names: readonly string[]): ReadonlySet<string> {
  const known = workloads.flatMap(({ lines }) => lines.map(({ name }) => name));
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`there is no ${unknown.join(", no ")}\n${lineNames()}`);
  return new Set(names.length === 0 ? known : names);
}

function lineNames(): string {
  const lines = workloads.flatMap(({ lines }) => lines);
  const rows = lines.map(
    ({ name, title, against }) => `  ${name.padEnd(24)}${title} / ${against}\n`,
  );
  return `\nLines:\n${rows.join("")}`;
}

function makeBench(loader: LoaderProcess, isQuick: boolean): Bench {
  return {
    loader,
    keys: 100_000,
    slowKeys: isQuick ? 10_000 : 100_000,
    manyKeys: isQuick ? 1_000_000 : 10_000_000,
    rangeKeys: isQuick ? 100_000 : 1_000_000,
    settleMs: isQuick ? 2_000 : 10_000,
    milliseconds: isQuick ? 300 : 1_000,
    progress,
  };
}

function progress(doing: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${doing}`);
  else process.stderr.write(`${doing}\n`);
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}

function write(given: Arguments, machine: Machine, results: readonly Result[]): void {
  if (given.json !== undefined) {
    const { rounds, isQuick } = given;
    const run = { machine, rounds, isQuick, results };
    writeFileSync(given.json, `${JSON.stringify(run, null, 2)}\n`);
  }
  if (given.markdown !== undefined) {
    const tables = [markdownTable(results), processorTables(results).markdown];
    writeFileSync(given.markdown, tables.join("\n"));
  }
  if (given.svg !== undefined) {
    const { processor, cores, versions } = machine;
    const servers = Object.entries(versions).filter(([, version]) => version !== undefined);
    const names = servers.map(([name, version]) => `${name} ${version}`).join(", ");
    const caption = `${cores} cores of ${processor}; ${names}; | = the goal`;
    writeFileSync(given.svg, drawChart(results, caption));
  }
}
