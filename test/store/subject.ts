/** What the suites of stores are given: a way to open the store under test, and to open it again. */

import type { Store } from "../../src/kv.ts";
import type { FakeTime } from "../support/fake-time.ts";

/** A store under test, and how to get rid of it. */
export interface Opened {
  readonly store: Store;
  /** Closes what is open (`store`, or what `reopen` answered last) and removes its data. */
  close(): Promise<void>;
  /** Closes the store and opens its data again; left out where there is nothing that stays. */
  reopen?(): Promise<Store>;
  /** The time that the store goes by, where that is not the real one. */
  readonly time?: FakeTime;
}

export type Open = () => Promise<Opened>;

/** What a section gets: one store for all of its tests, each of which keeps to its own keys. */
export interface Subject {
  readonly store: Store;
  /** A new prefix, below which no test has keys. */
  fresh(): string;
}
