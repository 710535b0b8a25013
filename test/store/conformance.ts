/**
 * The suite that every implementation of `Store` passes: the doc comments of `src/kv.ts`, sentence by
 * sentence. Its bounds come from `store.limits`. It assumes neither an empty store, nor a first
 * revision, nor revisions without gaps; but nobody else writes to the store meanwhile.
 */

import { afterAll, beforeAll, describe } from "bun:test";
import { changesSection } from "./sections/changes.ts";
import { checksSection } from "./sections/checks.ts";
import { concurrencySection } from "./sections/concurrency.ts";
import { entriesSection } from "./sections/entries.ts";
import { keysSection } from "./sections/keys.ts";
import { lifecycleSection } from "./sections/lifecycle.ts";
import { limitsSection } from "./sections/limits.ts";
import { listsSection } from "./sections/lists.ts";
import { transactionsSection } from "./sections/transactions.ts";
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
  checks: checksSection,
  lists: listsSection,
  changes: changesSection,
  concurrency: concurrencySection,
  limits: limitsSection,
};
