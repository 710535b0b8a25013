/** The log engine in the modes in which it answers before it syncs, against the suite of stores. */

import { test } from "bun:test";
import type { Durability } from "../../src/durability.ts";
import { openLog } from "../../src/log/engine.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { openOn } from "../support/logs.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { conformance } from "./conformance.ts";
import { sameAsModel } from "./same-as-model.ts";
import type { Opened } from "./subject.ts";

const MODES: readonly Durability[] = [{ mode: "interval", ms: 5 }, { mode: "os" }];

for (const durability of MODES) {
  conformance(`the log engine, durability ${durability.mode}`, () => openInDirectory(durability));

  test(
    `random transactions give the same as on the model (${durability.mode})`,
    () => sameAsModel(() => openSmall(durability), rounds(10)),
    RANDOM_MS_MAX,
  );
}

// --- internal ---

async function openInDirectory(durability: Durability): Promise<Opened> {
  const directory = temporaryDirectory();
  const options = { directory: directory.path, durability };
  let store = await openLog(options);
  return {
    store,
    async close() {
      await store.close();
      directory.remove();
    },
    async reopen() {
      await store.close();
      store = await openLog(options);
      return store;
    },
  };
}

/** On a fake disk, with small segments and often a new reservation; a reopening is a stop. */
async function openSmall(durability: Durability): Promise<Opened> {
  const disk = new FakeDisk();
  const time = new FakeTime();
  const { clock, timer } = time;
  const options = { durability, segmentBytesMax: 2_000, reservedRevisions: 3, clock, timer };
  let store = await openOn(disk, options);
  return {
    store,
    time,
    close: () => store.close(),
    async reopen() {
      await store.close();
      store = await openOn(disk, options);
      return store;
    },
  };
}
