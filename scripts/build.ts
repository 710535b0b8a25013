/**
 * Compiles the executable `./kv`: `bun scripts/build.ts [--if-stale] [--outfile PATH]`.
 * With `--if-stale` only when a source is newer than the executable.
 */

import { mkdtempSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import manifest from "../package.json" with { type: "json" };

const root = join(import.meta.dir, "..");

/** The executable that `build` makes by default. */
export const executable = join(root, "kv");

/**
 * Is a source, the manifest or the lock newer than the executable, or is there none? Folders count
 * too: a file that was removed or renamed shows in the time of its folder only.
 */
export function isStale(outfile = executable): boolean {
  const built = statSync(outfile, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" });
  const inputs = [
    "src",
    ...sources.map((name) => join("src", name)),
    "scripts/build.ts",
    "package.json",
    "bun.lock",
  ];
  return inputs.some((name) => {
    const input = statSync(join(root, name), { throwIfNoEntry: false });
    return input === undefined || input.mtimeMs > built;
  });
}

/**
 * Compiles `src/main.ts` in a folder of its own and moves the result into place: a running kv keeps
 * its file, and of builds at the same time each leaves a whole one. The name stays the same, since
 * it becomes a part of the executable. The executable bears the time at which the build began, so a
 * source that changes meanwhile makes it stale.
 * @throws when the compiler fails, with what it printed.
 */
export function build(outfile = executable): void {
  const target = resolve(outfile);
  const began = new Date();
  const workshop = mkdtempSync(join(dirname(target), ".kv."));
  try {
    const made = join(workshop, basename(target));
    compile(made);
    utimesSync(made, began, began);
    renameSync(made, target);
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
}

// --- internal ---

/**
 * The two no-autoload flags keep a `.env` or a `bunfig.toml` in the directory that kv is started in
 * from changing what it does; `--format=esm` keeps paths of this machine out; `--splitting` lets a
 * subcommand load only what it imports itself, which takes a fifth off the start of the clients.
 */
function compile(outfile: string): void {
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    [
      process.execPath,
      "build",
      "--compile",
      "--minify",
      "--bytecode",
      "--splitting",
      "--format=esm",
      "--production",
      "--no-compile-autoload-dotenv",
      "--no-compile-autoload-bunfig",
      "--define",
      `KV_VERSION=${JSON.stringify(manifest.version)}`,
      join(root, "src/main.ts"),
      "--outfile",
      outfile,
    ],
    { cwd: root },
  );
  if (exitCode !== 0) throw new Error(`compiling kv failed:\n${stdout}${stderr}`);
}

function main(flags: readonly string[]): void {
  const at = flags.indexOf("--outfile");
  const outfile = at === -1 ? executable : flags[at + 1];
  if (outfile === undefined) throw new Error("--outfile needs a path");
  if (!flags.includes("--if-stale") || isStale(outfile)) build(outfile);
}

if (import.meta.main) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    // The compiler's own words say what is wrong; a stack trace of this script would not.
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
