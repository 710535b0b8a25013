/** The suite on the model itself: with revisions from 0, and far from 0 with gaps. */

import { test } from "bun:test";
import { openModel, type ModelOptions } from "../support/model-store.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { conformance } from "./conformance.ts";
import { sameAsModel } from "./same-as-model.ts";
import type { Opened } from "./subject.ts";

conformance("the model", () => open({}));
conformance("the model with gaps and small chunks", () =>
  open({ revision: 1_000, step: 3, chunkCommitsMax: 2 }),
);

test(
  "random transactions give the same results with and without gaps",
  async () => {
    await sameAsModel(() => open({ revision: 7, step: 3, chunkCommitsMax: 2 }), rounds(30));
  },
  RANDOM_MS_MAX,
);

// --- internal ---

async function open(options: ModelOptions): Promise<Opened> {
  const store = openModel(options);
  return { store, close: () => store.close() };
}
