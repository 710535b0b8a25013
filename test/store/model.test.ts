/** The suite on the model itself: with revisions from 0, and far from 0 with gaps. */

import { openModel, type ModelOptions } from "../support/model-store.ts";
import { conformance, type Opened } from "./conformance.ts";

conformance("the model", () => open({}));
conformance("the model with gaps and small chunks", () =>
  open({ revision: 1_000, step: 3, chunkCommitsMax: 2 }),
);

// --- internal ---

async function open(options: ModelOptions): Promise<Opened> {
  const store = openModel(options);
  return { store, close: () => store.close() };
}
