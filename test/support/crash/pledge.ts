/** What a store has promised by what it has shown: that may not be lost any more. */

import type { LogStore } from "../../../src/log/engine.ts";
import type { Demand, Ledger } from "./ledger.ts";

export const NO_DEMAND: Demand = { revision: 0, oldest: 0 };

export class Pledge {
  /** What the death of the process may not take. */
  now: Demand;
  /** What a power cut may not take. */
  afterCut: Demand;

  constructor(now: Demand = NO_DEMAND, afterCut: Demand = now) {
    this.now = now;
    this.afterCut = afterCut;
  }

  /** Takes down what a store shows at this moment. */
  note(store: LogStore, ledger: Ledger): void {
    const { revision, oldest, lag } = store.status();
    ledger.shown = Math.max(ledger.shown, revision);
    this.now = { revision, oldest };
    this.afterCut = {
      revision: Math.max(this.afterCut.revision, revision - (lag?.revisions ?? 0)),
      // A compaction takes no revision: it is synced when nothing waits.
      oldest: (lag?.bytes ?? 0) === 0 ? oldest : this.afterCut.oldest,
    };
  }

  copy(): Pledge {
    return new Pledge(this.now, this.afterCut);
  }

  /** What is left of it when the power was cut: all of that is durable. */
  cut(): Pledge {
    return new Pledge(this.afterCut);
  }
}
