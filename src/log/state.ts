/** What a batch of transactions is evaluated against. */

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
export interface State<K extends Known> {
  /** The keys that are there; some of them may be overdue. */
  readonly keys: KeySource;
  revision(): number;
  /** The key's newest change, `undefined` when it never had one. */
  known(key: string): K | undefined;
  value(key: string, known: K): Uint8Array;
  hasValue(key: string, known: K, value: Uint8Array): boolean;
}
