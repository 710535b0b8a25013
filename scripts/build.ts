/**
 * Compiles the executable `./kv`: `bun scripts/build.ts [--if-stale] [--outfile PATH]`.
 * With `--if-stale` only when a source is newer than the executable.
 */

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };

const root = join(import.meta.dir, "..");

/** The executable that `build` makes by default. */
export const executable = join(root, "kv");

/** Is a source, the manifest or a lock newer than the executable, or is there none? */
export function isStale(outfile = executable): boolean {
  const built = statSync(outfile, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" });
  const inputs = [
    ...sources.map((name) => join("src", name)),
    "scripts/build.ts",
    "package.json",
    "bun.lock",
  ];
  return inputs.some((name) => statSync(join(root, name)).mtimeMs > built);
}

/**
 * Compiles `src/main.ts`. The two no-autoload flags keep a `.env` or a `bunfig.toml` in the directory
 * that kv is started in from changing what it does; `--format=esm` keeps paths of this machine out.
 * @throws when the compiler fails, with what it printed.
 */
export function build(outfile = executable): void {
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    [
      process.execPath,
      "build",
      "--compile",
      "--minify",
      "--bytecode",
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

if (import.meta.main) {
  const at = process.argv.indexOf("--outfile");
  const outfile = at === -1 ? executable : process.argv[at + 1]!;
  if (!process.argv.includes("--if-stale") || isStale(outfile)) build(outfile);
}
