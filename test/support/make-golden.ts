/**
 * Adds golden directories to `test/fixtures`: `bun test/support/make-golden.ts NAME…`, each a name of
 * `golden-makers.ts`. One that is there is never written again.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXPECTED_FILE, FIXTURES, goldenShown } from "./golden-directories.ts";
import { goldenMakers } from "./golden-makers.ts";
import { openOn } from "./logs.ts";

for (const name of process.argv.slice(2)) {
  const maker = goldenMakers[name];
  if (maker === undefined) throw new Error(`there is no ${name}`);
  const { disk, now } = await maker();
  const store = await openOn(disk.copy(), { clock: () => now, timer: () => () => {} });
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
