/**
 * Runs the tests of the log and prints which branches of `src/log` they take: `bun run coverage`.
 * Fails where one is not taken and `test/log/uncovered.json` gives no reason for it, or gives one
 * for a branch that is taken or gone. With `--write` the list is brought up to date instead: who
 * runs it fills in the reasons.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import {
  type Branch,
  branchesOf,
  faultsOf,
  type FileCounts,
  listOf,
  type Reasons,
} from "./branches.ts";

const root = join(import.meta.dir, "..");
const LIST = join(root, "test/log/uncovered.json");

/** Long runs over what others cover, and tests of the executable, where nothing is counted. */
const LEFT_OUT = new Set([
  "test/log/crash-images.test.ts",
  "test/log/damage.test.ts",
  "test/log/expiry-lateness.test.ts",
  "test/log/heavy.test.ts",
  "test/log/system-calls.test.ts",
  "test/store/replay.test.ts",
]);

function main(): number {
  const began = performance.now();
  const workshop = mkdtempSync(join(tmpdir(), "kv-coverage."));
  try {
    const path = join(workshop, "counts.json");
    const passed = runTests(path);
    const files = readBranches(path);
    const reasons = JSON.parse(readFileSync(LIST, "utf8")) as Reasons;
    if (process.argv.includes("--write")) {
      writeFileSync(LIST, `${JSON.stringify(listOf(files, reasons), undefined, 2)}\n`);
    }
    print(files, reasons);
    const faults = faultsOf(files, reasons);
    for (const fault of faults) console.log(fault);
    const seconds = Math.round((performance.now() - began) / 1000);
    console.log(`${faults.length} faults of the list, in ${seconds} s`);
    // Counting makes tests slow: whether they pass is for the run without it to say.
    if (!passed) console.log("a test failed, which may be why a branch is not covered");
    return faults.length === 0 ? 0 : 1;
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
}

/** Runs them once, always with the same seed, and prints what fails. */
function runTests(counts: string): boolean {
  const tests = ["test/log", "test/store"]
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`))
    .filter((path) => path.endsWith(".test.ts") && !LEFT_OUT.has(path));
  const run = Bun.spawnSync({
    cmd: [
      process.execPath,
      "test",
      "--timeout=120000",
      "--preload=./scripts/coverage-preload.ts",
      ...tests.map((path) => `./${path}`),
    ],
    cwd: root,
    env: {
      ...process.env,
      KV_COVERAGE_FOLDER: join(root, "src/log"),
      KV_COVERAGE_COUNTS: counts,
      KV_TEST_ROUNDS: "1",
      KV_TEST_SEED: "1",
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = run.stdout.toString() + run.stderr.toString();
  if (run.exitCode === 0) console.log(output.trimEnd().split("\n").at(-1));
  else console.log(output.replaceAll(/^\(pass\).*\n/gm, ""));
  return run.exitCode === 0;
}

/** The branches of every file, by its path from the top. */
function readBranches(counts: string): Map<string, Branch[]> {
  const all = JSON.parse(readFileSync(counts, "utf8")) as Record<string, FileCounts>;
  const files = Object.values(all).map((file) => {
    const branches = branchesOf(file, readFileSync(file.path, "utf8"));
    return [relative(root, file.path), branches] as const;
  });
  return new Map(files.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function print(files: ReadonlyMap<string, readonly Branch[]>, reasons: Reasons): void {
  let [covered, total] = [0, 0];
  for (const [file, branches] of files) {
    const taken = branches.filter((branch) => branch.taken).length;
    covered += taken;
    total += branches.length;
    console.log(`${file}: ${taken}/${branches.length} branches`);
    for (const { line, name, taken } of branches) {
      if (taken) continue;
      console.log(`  ${line}: ${name}`);
      console.log(`      ${reasons[file]?.[name] || "no reason is listed"}`);
    }
  }
  const percent = ((100 * covered) / total).toFixed(1);
  console.log(`branches of src/log: ${covered}/${total} covered, ${percent} %`);
}

process.exitCode = main();
