/** From samples to what is shown: rounds, table, chart. */

import { describe, expect, test } from "bun:test";
import { drawChart, factorOf } from "./chart.ts";
import { compare, runAll, type Result } from "./runner.ts";
import { loaderNotes, markdownTable, processorTables, showFigure, terminalTable } from "./table.ts";
import type { Bench, Line, Sample, Workload } from "./workload.ts";

const line: Line = {
  name: "get-other",
  title: "GET",
  against: "other & <co>",
  unit: "/s",
  goal: { least: 0.9 },
  needs: [],
};
const cost: Line = { ...line, name: "memory", unit: "MiB", goal: { most: 0.5 }, roundsMax: 1 };

describe("rounds", () => {
  test("alternate, take turns at being first, and do not count the warming up", async () => {
    const order: string[] = [];
    const rates = { kv: [1, 10, 20, 40], peer: [1, 20, 20, 20] };
    const side = (name: "kv" | "peer") => (): Promise<Sample> => {
      order.push(name);
      return Promise.resolve({ value: rates[name].shift()! });
    };
    const result = await compare(quiet, line, { kv: side("kv"), peer: side("peer") }, 3);
    expect(order.join(" ")).toBe("kv peer peer kv kv peer peer kv");
    expect(result.kv).toEqual({ median: 20, values: [10, 20, 40] });
    expect(result.ratio).toEqual({ median: 1, least: 0.5, most: 2 });
    expect(result.isMet).toBe(true);
  });

  test("are no more than a line bears, and without a warming up where it wants none", async () => {
    let samples = 0;
    const side = (): Promise<Sample> => Promise.resolve({ value: ++samples });
    const pair = { kv: side, peer: side };
    expect((await compare(quiet, cost, pair, 9)).kv.values).toHaveLength(1);
    expect(samples).toBe(4);
    await compare(quiet, { ...cost, isWarmed: false }, pair, 9);
    expect(samples).toBe(6);
  });

  test("show how busy both processes were, in the middle", async () => {
    const cores = [0.1, 0.5, 0.6, 0.9];
    const side = (): Promise<Sample> =>
      Promise.resolve({ value: 1, serverCores: cores.shift() ?? 0, loaderCores: 1 });
    const { kv, peer } = await compare(quiet, line, { kv: side, peer: sample }, 3);
    expect(kv).toMatchObject({ serverCores: 0.6, loaderCores: 1 });
    expect(peer).toEqual({ median: 1, values: [1, 1, 1] });
  });
});

describe("a goal", () => {
  test.each([
    [line, 0.9, true],
    [line, 0.89, false],
    [cost, 0.5, true],
    [cost, 0.51, false],
    [{ ...line, goal: undefined }, 0.1, undefined],
  ] as const)("is reached or not", async (line, value, isMet) => {
    const pair = {
      kv: () => Promise.resolve({ value }),
      peer: () => Promise.resolve({ value: 1 }),
    };
    expect((await compare(quiet, line, pair, 1)).isMet).toBe(isMet);
  });
});

describe("a run", () => {
  const ended: string[] = [];
  const workload: Workload = {
    lines: [line, { ...cost, needs: ["etcd", "redis-server"] }],
    open(_bench, stack, names) {
      stack.defer(() => void ended.push([...names].join(" ")));
      const pair = { kv: sample, peer: sample };
      return Promise.resolve({ "get-other": pair, memory: pair });
    },
  };
  const run = async (names: readonly string[], tools: readonly string[]): Promise<Result[]> => {
    const results: Result[] = [];
    await runAll([workload], new Set(names), {
      bench: quiet,
      rounds: 1,
      isThere: (tool) => tools.includes(tool),
      onResult: (result) => void results.push(result),
    });
    return results;
  };

  test("names what is missing for a line, and runs the others", async () => {
    const [skipped, measured] = await run(["get-other", "memory"], ["etcd"]);
    expect(skipped).toMatchObject({ skipped: "redis-server not on the PATH" });
    expect(measured).toMatchObject({ line, kv: { median: 1 } });
    expect(ended).toEqual(["get-other"]);
  });

  test("starts nothing for lines that nobody asked for", async () => {
    ended.length = 0;
    expect(await run(["another"], [])).toEqual([]);
    expect(ended).toEqual([]);
  });

  test("ends what it has started when something fails", async () => {
    ended.length = 0;
    const failing = { ...workload, lines: [{ ...line, name: "absent" }] };
    const options = { bench: quiet, rounds: 1, isThere: () => true, onResult: () => {} };
    await expect(runAll([failing], new Set(["absent"]), options)).rejects.toThrow();
    expect(ended).toEqual(["absent"]);
  });
});

describe("what is shown", () => {
  const measured: Result = {
    line,
    kv: { median: 101_234, values: [101_234], serverCores: 0.7, loaderCores: 0.99 },
    peer: { median: 50_000, values: [50_000], serverCores: 0.99, loaderCores: 0.99 },
    ratio: { median: 2.0247, least: 1.9, most: 12.34 },
    isMet: true,
  };
  const less: Result = { ...measured, line: cost, ratio: { median: 0.25, least: 0.2, most: 0.3 } };
  const skipped: Result = { line: cost, skipped: "etcd not on the PATH" };

  test("has a row for each line in Markdown", () => {
    expect(markdownTable([measured, skipped])).toBe(
      [
        "| Workload | Against | kv | Other | Ratio | From | To | Goal | Reached |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        "| GET | other & <co> | 101 k/s | 50.0 k/s | 2.02 | 1.90 | 12.3 | ≥ 0.90 | yes |",
        "| GET | other & <co> |  |  |  |  |  | ≤ 0.50 | skipped: etcd not on the PATH |",
        "",
      ].join("\n"),
    );
  });

  test("is aligned on a terminal", () => {
    const [titles, ...rows] = terminalTable([measured, skipped]).trimEnd().split("\n");
    const end = titles!.indexOf("Ratio") + "Ratio".length;
    expect(rows[0]!.slice(0, end)).toEndWith(" 2.02");
    expect(rows[1]).toEndWith("skipped: etcd not on the PATH");
  });

  test("tells what servers took of the cores, where that was looked at and is not nothing", () => {
    const at = (serverMicros: number): Result => ({
      ...measured,
      kv: { ...measured.kv, serverMicros: 12 },
      peer: { ...measured.peer, serverMicros },
    });
    const { markdown, terminal } = processorTables([measured, skipped, at(4), at(0)]);
    expect(markdown.split("\n").slice(2)).toEqual([
      "| GET | other & <co> | 12.0 µs | 4.00 µs | 3.00 |",
      "",
    ]);
    expect(terminal.trimEnd().split("\n")).toHaveLength(2);
  });

  test("says where the loader was the limit", () => {
    expect(loaderNotes([measured, skipped])).toEqual([
      "get-other: with kv the loader was the limit (0.99 cores, the server 0.70)",
    ]);
  });

  test.each([
    [9_999, "/s", "9999/s"],
    [12_345, "/s", "12.3 k/s"],
    [1_234_567, "/s", "1.23 M/s"],
    [2_100, "MiB", "2.05 GiB"],
    [0.123, "ms", "0.12 ms"],
    [15_000, "ms", "15.0 s"],
    [1_300, "µs", "1.30 ms"],
  ] as const)("%d %s as %s", (value, unit, text) => {
    expect(showFigure(value, unit)).toBe(text);
  });

  test("is a well-formed picture with a bar for each line that was measured", () => {
    const svg = drawChart([measured, skipped, less], "a & b");
    const tags: string[] = [];
    let bars = 0;
    const onTag = (element: HTMLRewriterTypes.Element): void => {
      tags.push(element.tagName);
      if (/bar|behind/.test(element.getAttribute("class") ?? "")) bars++;
    };
    new HTMLRewriter().on("*", { element: onTag }).transform(svg);
    expect(bars).toBe(2);
    expect(tags[0]).toBe("svg");
    expect(svg).toContain("other &amp; &lt;co&gt;");
    expect(svg).toContain("prefers-color-scheme:dark");
    expect(svg).not.toMatch(/NaN|Infinity|undefined|url\(|@import|href/);
  });

  test("counts less of what is not wanted as ahead", () => {
    expect(factorOf(measured)).toBeCloseTo(2.02);
    expect(factorOf(less)).toBe(4);
  });
});

// --- internal ---

function sample(): Promise<Sample> {
  return Promise.resolve({ value: 1 });
}

const quiet = { progress: () => {} } as unknown as Bench;
