/** The log engine against the suite of stores and against the model: on files, and on a fake disk. */

import { describe, test } from "bun:test";
import { openLog, type LogOptions } from "../../src/log/engine.ts";
import { FakeTime } from "../support/fake-time.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn } from "../support/logs.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { conformance } from "./conformance.ts";
import { sameAsModel } from "./same-as-model.ts";
import type { Opened } from "./subject.ts";

conformance("the log engine", openInDirectory);

describe("random transactions give the same on the log engine and on the model", () => {
  test("on files", () => sameAsModel(openInDirectory, rounds(3)), RANDOM_MS_MAX);

  test("with small segments", () => sameAsModel(openSmall({}), rounds(12)), RANDOM_MS_MAX);

  test(
    "with merges after every compaction",
    async () => {
      const options = { mergeBytesMin: 1, segmentBytesMax: 1_000, valueCacheBytesMax: 2_000 };
      await sameAsModel(openSmall(options), rounds(24));
    },
    RANDOM_MS_MAX,
  );

  test(
    "with nothing kept in memory",
    async () => {
      const options = { valueCacheBytesMax: 0, recentBytesMax: 0 };
      await sameAsModel(openSmall(options), rounds(12));
    },
    RANDOM_MS_MAX,
  );
});

// --- internal ---

async function openInDirectory(): Promise<Opened> {
  const directory = temporaryDirectory();
  let store = await openLog({ directory: directory.path });
  return {
    store,
    async close() {
      await store.close();
      directory.remove();
    },
    async reopen() {
      await store.close();
      store = await openLog({ directory: directory.path });
      return store;
    },
  };
}

/**
 * On a fake disk and by a fake clock, where every few commits begin a segment and a reopening is a
 * crash every other time.
 */
function openSmall(more: Partial<LogOptions>): () => Promise<Opened> {
  return async () => {
    let disk = new FakeDisk();
    const time = new FakeTime();
    const { clock, timer } = time;
    const options = { segmentBytesMax: 2_000, clock, timer, ...more };
    let store = await openOn(disk, options);
    let openings = 0;
    return {
      store,
      time,
      close: () => store.close(),
      async reopen() {
        if (++openings % 2 === 0) await store.close();
        else disk = disk.kill();
        store = await openOn(disk, options);
        return store;
      },
    };
  };
}
