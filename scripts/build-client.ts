/**
 * Builds the SDK for platforms that run no TypeScript: `bun scripts/build-client.ts [--outdir
 * PATH]`. What `package.json` exports comes out of it: one module that needs nothing but what
 * browsers have, and declarations.
 */

import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";

const root = join(import.meta.dir, "..");

/** The folder that `package.json` exports from. */
export const clientFolder = join(root, "dist");

/**
 * Writes `client/index.js`, its map, `client/index.d.ts` and what that stands on into a folder, in
 * the place of what was there.
 * @throws when the compiler or the bundler fails, with what it said.
 */
export async function buildClient(outdir = clientFolder): Promise<void> {
  const target = resolve(outdir);
  mkdirSync(dirname(target), { recursive: true });
  const workshop = mkdtempSync(join(dirname(target), ".kv."));
  chmodSync(workshop, 0o755);
  try {
    declare(workshop);
    await bundle(join(workshop, "client"));
    rmSync(target, { recursive: true, force: true });
    renameSync(workshop, target);
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
}

// --- internal ---

const ENTRY = join(root, "src/client/index.ts");

/** For what the declarations name and older standard libraries do not know. */
const REFERENCE = '/// <reference lib="esnext.disposable" />\n';

async function bundle(outdir: string): Promise<void> {
  const { success, logs } = await Bun.build({
    entrypoints: [ENTRY],
    target: "browser",
    format: "esm",
    sourcemap: "linked",
    outdir,
    throw: false,
  });
  if (!success) throw new Error(`the bundle failed:\n${logs.join("\n")}`);
}

function declare(outdir: string): void {
  const project = join(outdir, "tsconfig.json");
  const compilerOptions = {
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    rootDir: join(root, "src"),
    outDir: outdir,
    types: [join(root, "node_modules/bun-types")],
  };
  const extended = join(root, "tsconfig.json");
  const json = { extends: extended, compilerOptions, include: [], files: [ENTRY] };
  writeFileSync(project, JSON.stringify(json));
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    [process.execPath, compiler, "--project", project],
    { cwd: root },
  );
  if (exitCode !== 0) throw new Error(`the declarations failed:\n${stdout}${stderr}`);
  rmSync(project);
  const index = join(outdir, "client/index.d.ts");
  writeFileSync(index, REFERENCE + readFileSync(index, "utf8"));
}

if (import.meta.main) {
  const at = process.argv.indexOf("--outdir");
  await buildClient(at < 0 ? clientFolder : process.argv[at + 1]);
}
