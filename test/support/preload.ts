/**
 * Runs before the tests of every `bun test`: compiles `./kv` when a source is newer, so that tests of
 * the executable never meet an old one.
 */

import { build, isStale } from "../../scripts/build.ts";

if (isStale()) build();
