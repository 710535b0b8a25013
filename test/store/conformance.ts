/**
 * The suite that every implementation of `Store` passes: the doc comments of `src/kv.ts`, sentence by
 * sentence. Its bounds come from `store.limits`. It assumes neither an empty store, nor a first
 * revision, nor revisions without gaps; but nobody else writes to the store meanwhile.
 */

import { afterAll, beforeAll, describe } from "bun:test";
import { changesSection } from "./sections/changes.ts";
import { checksSection } from "./sections/checks.ts";
import { compactionSection } from "./sections/compaction.ts";
import { concurrencySection } from "./sections/concurrency.ts";
import { conditionsSection } from "./sections/conditions.ts";
import { deleteRangeSection } from "./sections/delete-range.ts";
import { entriesSection } from "./sections/entries.ts";
import { historySection } from "./sections/history.ts";
import { incrSection } from "./sections/incr.ts";
import { keysSection } from "./sections/keys.ts";
import { lifecycleSection } from "./sections/lifecycle.ts";
import { limitsSection } from "./sections/limits.ts";
import { listsSection } from "./sections/lists.ts";
import { operationsSection } from "./sections/operations.ts";
import { rangesSection } from "./sections/ranges.ts";
import { snapshotsSection } from "./sections/snapshots.ts";
import { transactionsSection } from "./sections/transactions.ts";
import { ttlSection } from "./sections/ttl.ts";
import type { Open, Opened, Subject } from "./subject.ts";

export function conformance(name: string, open: Open): void {
  describe(`conformance of ${name}`, () => {
    for (const [title, section] of Object.entries(SHARED_SECTIONS)) {
      describe(title, () => {
        let opened: Opened;
        let prefixes = 0;
        beforeAll(async () => {
          opened = await open();
        });
        afterAll(() => opened.close());
        section({
          get store() {
            return opened.store;
          },
          fresh: () => `${title}-${++prefixes}/`,
        });
      });
    }
    describe("lifecycle", () => lifecycleSection(open));
  });
}

// --- internal ---

const SHARED_SECTIONS: Record<string, (subject: Subject) => void> = {
  entries: entriesSection,
  keys: keysSection,
  transactions: transactionsSection,
  operations: operationsSection,
  checks: checksSection,
  conditions: conditionsSection,
  incr: incrSection,
  ttl: ttlSection,
  lists: listsSection,
  ranges: rangesSection,
  "delete-range": deleteRangeSection,
  history: historySection,
  changes: changesSection,
  compaction: compactionSection,
  snapshots: snapshotsSection,
  concurrency: concurrencySection,
  limits: limitsSection,
};
