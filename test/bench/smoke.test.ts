/** The bench runs: short rounds of some lines in a process of its own. Nobody looks at the figures. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../support/temporary.ts";
import type { Result } from "./runner.ts";

test("measures lines, skips one whose peer is not there, and writes all its files", async () => {
  using directory = temporaryDirectory();
  const fileOf = (name: string): string => join(directory.path, name);
  const names = ["get-bare", "get-redis", "matching"];
  const flags = `--quick --rounds 1 --json ${fileOf("b.json")} --svg ${fileOf("b.svg")}`;
  const { exitCode, stderr, stdout } = await bench([...names, ...flags.split(" ")]);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  expect(stderr).toContain("get-bare: round 1 of 1");
  const run = JSON.parse(readFileSync(fileOf("b.json"), "utf8")) as { results: Result[] };
  expect(run.results.map(({ line }) => line.name).toSorted()).toEqual(names.toSorted());
  for (const result of run.results) {
    if (result.line.name === "get-redis") {
      expect(result).toMatchObject({ skipped: "redis-server not on the PATH" });
    } else {
      expect(result).toMatchObject({ kv: { values: [expect.any(Number)] } });
    }
  }
  expect(stdout.split("\n").filter((text) => text.includes("skipped:"))).toHaveLength(1);
  expect(readFileSync(fileOf("b.svg"), "utf8")).toStartWith("<svg ");
}, 120_000);

test("names the lines that there are to whoever asks for another", async () => {
  const { exitCode, stderr } = await bench(["get-nothing"]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("there is no get-nothing");
  expect(stderr).toContain("put-redis-64");
});

// --- internal ---

/** With nothing on the PATH, so that what is skipped is the same everywhere. */
async function bench(words: readonly string[]) {
  using empty = temporaryDirectory();
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "main.ts"), ...words], {
    env: { ...process.env, PATH: empty.path },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { stdout, stderr, exitCode };
}
