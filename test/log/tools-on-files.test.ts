/** Copies, restores, checks and repairs on a real file system. */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkLog } from "../../src/log/check.ts";
import { openDirectory, openExisting } from "../../src/log/disk.ts";
import { openLog } from "../../src/log/engine.ts";
import { repair } from "../../src/log/repair.ts";
import { restore } from "../../src/log/restore.ts";
import { copyOf, inPieces, later, randomBytes, view, writeSome } from "../support/copies.ts";
import { random } from "../support/random.ts";
import { failure } from "../support/stores.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const MAKING = { clock: later, random: randomBytes, segmentBytesMax: 2_000 };

/** Names, bytes and times of change of all files. */
function files(directory: string): unknown {
  return readdirSync(directory).map((name) => {
    const path = join(directory, name);
    return [name, readFileSync(path).toString("latin1"), statSync(path).mtimeMs];
  });
}

test("a store is copied, restored, checked, damaged and repaired", async () => {
  using source = temporaryDirectory();
  using restored = temporaryDirectory();
  using repaired = temporaryDirectory();
  const store = await openLog({ directory: source.path, segmentBytesMax: 2_000 });
  await writeSome(store, random(1), 60);
  const { revision } = store.status();
  const pieces = inPieces(await copyOf(store));
  const wanted = await view(store, revision);

  // Who has it open keeps it from being checked: what is read then is still being written.
  const { message } = await failure(
    () => checkLog({ disk: openExisting(source.path) }),
    "conflict",
  );
  expect(message).toContain("is in use by another kv");
  await store.close();
  const before = files(source.path);
  expect(await checkLog({ disk: openExisting(source.path) })).toMatchObject({
    sound: true,
    findings: [],
  });
  expect(files(source.path)).toEqual(before);

  const disk = openDirectory(restored.path);
  await restore({ disk, sources: [{ name: "it", pieces }], ...MAKING });
  expect(statSync(join(restored.path, "0000000001.log")).mode & 0o777).toBe(0o600);
  const again = await openLog({ directory: restored.path });
  expect(await view(again, revision)).toEqual(wanted);
  await again.close();

  const damaged = join(restored.path, "0000000002.log");
  const bytes = readFileSync(damaged);
  bytes[140]! ^= 1;
  writeFileSync(damaged, bytes);
  const { sound, findings } = await checkLog({ disk: openExisting(restored.path) });
  expect(sound).toBe(false);
  expect(findings).toMatchObject([{ file: "0000000002.log", offset: 128 }]);
  const left = files(restored.path);
  const made = { from: openExisting(restored.path), into: openDirectory(repaired.path), ...MAKING };
  expect((await repair(made)).findings).toEqual(findings);
  expect(files(restored.path)).toEqual(left);
  expect((await checkLog({ disk: openExisting(repaired.path) })).findings).toEqual([]);
});

test("what is no directory cannot be checked, and is not made", async () => {
  using directory = temporaryDirectory();
  const missing = join(directory.path, "missing");
  expect(() => openExisting(missing)).toThrow("ENOENT");
  expect(readdirSync(directory.path)).toEqual([]);
  const disk = openExisting(directory.path);
  await failure(() => checkLog({ disk }), "not_found");
  expect(readdirSync(directory.path)).toEqual([]);
});
