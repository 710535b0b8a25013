/**
 * Runs before the tests of every `bun test`: compiles `./kv` when a source is newer, so that tests of
 * the executable never meet an old one.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { build, isStale } from "../../scripts/build.ts";

// While the parts are being put together, one that does not compile yet must not stop the tests of
// the others.
if (existsSync(join(import.meta.dir, "../../src/main.ts")) && isStale()) {
  try {
    build();
  } catch (error) {
    console.warn((error as Error).message);
  }
}
