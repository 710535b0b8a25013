/**
 * Adds golden directories to `test/fixtures`: `bun test/support/make-golden.ts NAME…`, each a name of
 * `golden-makers.ts`. One that is there is never written again.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { restoreInto } from "./copies.ts";
import { FakeDisk } from "./fake-disk.ts";
import { EXPECTED_FILE, FIXTURES, goldenShown } from "./golden-directories.ts";
import { goldenMakers } from "./golden-makers.ts";
import { openOn } from "./logs.ts";

/** A disk with the store that is made of copies. */
async function restoredFrom(copies: FakeDisk): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const files = copies.list().toSorted();
  await restoreInto(
    disk,
    files.map((name) => copies.bytes(name)),
  );
  return disk;
}

for (const name of process.argv.slice(2)) {
  const maker = goldenMakers[name];
  if (maker === undefined) throw new Error(`there is no ${name}`);
  const { disk, now } = await maker();
  const source = name.startsWith("copies-") ? await restoredFrom(disk) : disk.copy();
  const store = await openOn(source, { clock: () => now, timer: () => () => {} });
  const expected = { now, shown: await goldenShown(store) };
  await store.close();
  const path = join(FIXTURES, name);
  mkdirSync(path);
  let bytes = 0;
  for (const file of disk.list()) {
    writeFileSync(join(path, file), disk.bytes(file), { flag: "wx" });
    bytes += disk.bytes(file).length;
  }
  writeFileSync(join(path, EXPECTED_FILE), `${JSON.stringify(expected)}\n`, { flag: "wx" });
  console.log(`${name}: ${disk.list().join(", ")}: ${bytes} bytes`);
}
