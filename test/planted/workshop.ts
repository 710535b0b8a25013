/**
 * A copy of the sources and the tests in a directory of its own, in which one text at a time is
 * replaced by a fault, and tests are run by another process. The project itself stays as it is.
 */

import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bug, Catcher } from "./bug.ts";

/** What came of tests. */
export interface Outcome {
  /** `broken`: they did not run as they are meant to, for the reason that `why` tells. */
  readonly verdict: "passed" | "failed" | "broken";
  readonly why: string;
  readonly output: string;
  readonly seconds: number;
}

export class Workshop implements Disposable {
  readonly #path = mkdtempSync(join(tmpdir(), "kv-planted-"));

  constructor() {
    for (const name of readdirSync(ROOT)) {
      if (LEFT_OUT.has(name)) continue;
      const [from, to] = [join(ROOT, name), join(this.#path, name)];
      if (COPIED.has(name)) cpSync(from, to, { recursive: true });
      else symlinkSync(from, to);
    }
    // Without the preload of the project, which builds the executable.
    writeFileSync(join(this.#path, "bunfig.toml"), '[test]\nroot = "./test"\n');
  }

  /** Runs the tests that catch a bug, with the bug. @throws when it cannot be planted. */
  async runWith(bug: Bug): Promise<Outcome> {
    const path = join(this.#path, bug.file);
    const text = sourceOf(bug);
    writeFileSync(path, planted(bug, text));
    try {
      return await this.run(bug.caughtBy);
    } finally {
      writeFileSync(path, text);
    }
  }

  /** Runs tests on the sources as they are, up to the first that fails. */
  async run({ file, name, rounds = 1, seed = 1 }: Catcher): Promise<Outcome> {
    const began = performance.now();
    const child = Bun.spawn({
      cmd: [
        process.execPath,
        "test",
        "--bail",
        `--timeout=${TEST_MS_MAX}`,
        ...(name === undefined ? [] : [`--test-name-pattern=${name}`]),
        `./test/log/${file}.test.ts`,
      ],
      cwd: this.#path,
      // What is printed is looked at, and so must have no colours.
      env: {
        ...process.env,
        KV_TEST_ROUNDS: String(rounds),
        KV_TEST_SEED: String(seed),
        FORCE_COLOR: "0",
      },
      stdout: "pipe",
      stderr: "pipe",
      timeout: PROCESS_MS_MAX,
    });
    const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    const code = await child.exited;
    const seconds = (performance.now() - began) / 1000;
    const output = out + error;
    return { ...judged(output, child.signalCode === null ? code : undefined), output, seconds };
  }

  [Symbol.dispose](): void {
    rmSync(this.#path, { recursive: true, force: true });
  }
}

/** The source as it is, in which a bug is to be planted. */
export function sourceOf({ file }: Bug): string {
  return readFileSync(join(ROOT, file), "utf8");
}

/** A source with the bug in it. @throws when the place of the bug is not there exactly once. */
export function planted({ name, file, find, replace }: Bug, text: string): string {
  const places = text.split(find).length - 1;
  if (places === 1 && find !== replace) return text.replace(find, () => replace);
  throw new Error(
    `"${name}" cannot be planted: its text is in ${file} ${places} times, not once; ` +
      "plant it where this is done now",
  );
}

/** What the output of the runner and its exit code mean; without a code it was ended. */
export function judged(output: string, code: number | undefined): Pick<Outcome, "verdict" | "why"> {
  if (code === undefined) return broken("the tests did not end");
  if (code === 0) {
    return /^ [1-9]\d* pass$/m.test(output)
      ? { verdict: "passed", why: "every test did" }
      : broken("no test ran");
  }
  const failed = /^\(fail\) (.*?)(?: \[[\d.]+ms\])?$/m.exec(output)?.[1];
  if (failed === undefined) return broken("no test failed, but the runner did");
  if (/timed out after/.test(output)) return broken("a test timed out");
  const mistake = /(?:SyntaxError|ReferenceError).*/.exec(output);
  if (mistake !== null) return broken(`the source does not run: ${mistake[0]}`);
  return { verdict: "failed", why: failed };
}

/** The command that runs tests which catch a bug, with the bug or without. */
export function catcherText({ file, name, rounds = 1, seed = 1 }: Catcher): string {
  const pattern = name === undefined ? "" : ` -t ${JSON.stringify(name)}`;
  const more = rounds === 1 ? "" : `KV_TEST_ROUNDS=${rounds} `;
  return `${more}KV_TEST_SEED=${seed} bun test${pattern} ./test/log/${file}.test.ts`;
}

// --- internal ---

const ROOT = join(import.meta.dir, "../..");

/** What is changed, and what must not be resolved to where the unchanged source is. */
const COPIED = new Set(["src", "test"]);
/** The settings of the runner are others, and no test here needs the executable. */
const LEFT_OUT = new Set([".git", "bunfig.toml", "kv"]);

const TEST_MS_MAX = 100_000;
const PROCESS_MS_MAX = 120_000;

function broken(why: string): Pick<Outcome, "verdict" | "why"> {
  return { verdict: "broken", why };
}
