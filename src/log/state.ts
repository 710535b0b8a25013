/** What a batch of transactions is evaluated against. */

import type { KeyIndex } from "./key-index.ts";
import type { KeySource } from "./listing.ts";

/** What is known of a key's newest change; a deleted key has version 0. */
export interface Known {
  readonly revision: number;
  readonly createRevision: number;
  readonly version: number;
  readonly contentType: string;
  /** Milliseconds since 1970; 0 = never. */
  readonly deadline: number;
}

/** The durable state below a batch. */
export interface State {
  /** The newest change of each key. */
  readonly index: KeyIndex;
  /** The keys that are there; some of them may be overdue. */
  readonly keys: KeySource;
  revision(): number;
  /** A copy of the value of an entry of the index. */
  value(entry: number): Uint8Array;
  hasValue(entry: number, value: Uint8Array): boolean;
}
