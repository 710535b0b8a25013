/**
 * Directories of format version 1, kept as they were once written: every later kv must read them. And
 * as long as version 1 is what is written, the same commits give the same bytes of the first.
 */

import { afterEach, expect, test } from "bun:test";
import { copyFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openLog } from "../../src/log/engine.ts";
import { GOLDEN_NOW, goldenView, writeGolden } from "../support/golden.ts";
import { diskOf, goldenDirectories, goldenShown } from "../support/golden-directories.ts";
import { openOn } from "../support/logs.ts";
import { put, textOf, write } from "../support/stores.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";

const golden = join(import.meta.dir, "../fixtures/format-1");
const goldenFiles = readdirSync(golden).filter((name) => name !== "expected.json");

let directory: TemporaryDirectory | undefined;
afterEach(() => directory?.remove());

test("the golden directory is read as it was meant, and can be written to", async () => {
  directory = temporaryDirectory();
  for (const name of goldenFiles) copyFileSync(join(golden, name), join(directory.path, name));
  const store = await openLog({ directory: directory.path, clock: () => GOLDEN_NOW });
  const expected: unknown = JSON.parse(readFileSync(join(golden, "expected.json"), "utf8"));
  expect(await goldenView(store)).toEqual(expected);
  const { revision } = await write(store, put("later", "1"));
  await store.close();
  const again = await openLog({ directory: directory.path });
  expect(await textOf(again, "later")).toBe("1");
  expect((await again.status()).revision).toBe(revision);
  await again.close();
});

test.each(goldenDirectories.filter(({ shown }) => shown !== undefined))(
  "$name shows what it did when it was made, also after more was written",
  async ({ files, now, shown }) => {
    const disk = diskOf(files);
    const store = await openOn(disk, { clock: () => now, timer: () => () => {} });
    expect(JSON.parse(JSON.stringify(await goldenShown(store)))).toEqual(shown);
    const { revision } = await write(store, put("later", "2"));
    await store.close();
    const again = await openOn(disk, { clock: () => now, timer: () => () => {} });
    expect(await textOf(again, "later")).toBe("2");
    expect((await again.status()).revision).toBe(revision);
    await again.close();
  },
);

test("the same commits give the golden bytes again", async () => {
  directory = temporaryDirectory();
  await (await writeGolden(directory.path)).close();
  const names = readdirSync(directory.path).filter((name) => name !== "LOCK");
  expect(names.toSorted()).toEqual(goldenFiles.toSorted());
  for (const name of names) {
    const written = readFileSync(join(directory.path, name));
    expect(Buffer.compare(written, readFileSync(join(golden, name)))).toBe(0);
  }
});
