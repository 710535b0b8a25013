/**
 * Loaded before the tests by `coverage.ts`: counts the branches that are taken in the sources that
 * the variables of the environment name, and writes the counts at the end.
 */

import { afterAll } from "bun:test";
import { createInstrumenter } from "istanbul-lib-instrument";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const folder = resolve(process.env["KV_COVERAGE_FOLDER"]!);
const counts = process.env["KV_COVERAGE_COUNTS"]!;

const instrumenter = createInstrumenter({
  esModules: true,
  // The sources go through as they are, types and all: so lines and columns stay right.
  parserPlugins: ["typescript"],
  coverageVariable: "__coverage__",
});

Bun.plugin({
  name: "count branches",
  setup(build) {
    build.onLoad({ filter: /\/src\/\w+\/[^/]+\.ts$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      if (!path.startsWith(`${folder}/`)) return { contents: source, loader: "ts" };
      return { contents: instrumenter.instrumentSync(source, path), loader: "ts" };
    });
  },
});

afterAll(() => {
  const { __coverage__: coverage = {} } = globalThis as { __coverage__?: Record<string, object> };
  // A file that no test imports has branches too.
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!name.endsWith(".ts") || coverage[path] !== undefined) continue;
    instrumenter.instrumentSync(readFileSync(path, "utf8"), path);
    coverage[path] = instrumenter.lastFileCoverage();
  }
  writeFileSync(counts, JSON.stringify(coverage));
});
