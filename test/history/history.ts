/**
 * The recorded history of a store: what clients asked, when, and what they were answered. Every
 * request is written as a transaction, of which a single read or write is the smallest case. Knows
 * no store and no wire; values are texts.
 */

import type { Range } from "../../src/keys.ts";

/** A history is linear in time: all its times are milliseconds of one clock that never goes back. */
export interface History {
  /** In the order sent. */
  readonly operations: readonly Operation[];
  /** Every commit, oldest first, as a watch of everything showed it. */
  readonly commits?: readonly RecordedCommit[];
  /** Milliseconds since 1970 at time 0; with it deadlines are held against the clock too. */
  readonly epoch?: number;
}

export interface Operation {
  readonly client: string;
  /**
   * Requests of one connection take effect in the order sent, also when they overlap.
   */
  readonly connection?: string;
  /** Before the request was sent. */
  readonly call: number;
  /** After the answer had come; what has an unknown outcome may take effect later. */
  readonly return: number;
  readonly asked: Asked;
  readonly answer: Answer;
}

export interface Asked {
  readonly checks?: readonly Check[];
  readonly then: readonly Step[];
  readonly else?: readonly Step[];
  /** Read as of this revision; then there are nothing but reads in `then`. */
  readonly at?: number;
}

export type Check = { readonly key: string; readonly not?: boolean } & (
  | { readonly revision: number | readonly number[] }
  | { readonly version: number | readonly number[] }
  | { readonly value: string }
);

export type Step =
  | { readonly op: "put"; readonly key: string; readonly value: string; readonly ttl?: Ttl }
  | { readonly op: "touch"; readonly key: string; readonly ttl: Ttl }
  | { readonly op: "incr"; readonly key: string; readonly by: string; readonly ttl?: Ttl }
  | { readonly op: "delete"; readonly key: string }
  | { readonly op: "deleteRange"; readonly range: Range; readonly limit?: number }
  | { readonly op: "get"; readonly key: string }
  | {
      readonly op: "list";
      readonly range: Range;
      readonly limit?: number;
      readonly reverse?: boolean;
    }
  | { readonly op: "count"; readonly range: Range };

/** Milliseconds, or to leave the deadline as it is, or to have none. */
export type Ttl = number | "keep" | "none";

export type Answer =
  | Done
  /** A step failed, as it has to for what it found: nothing was applied. */
  | {
      readonly kind: "refused";
      readonly code: "not_found" | "conflict";
      /** Which step of the list that ran. */
      readonly index: number;
      /** The store's revision at the evaluation, where the answer says it. */
      readonly revision?: number;
    }
  /** It took effect once, at some time after the call and before `until`, or never. */
  | { readonly kind: "unknown"; readonly until?: number }
  /** It certainly never took effect. */
  | { readonly kind: "notApplied" };

export interface Done {
  readonly kind: "done";
  /** Did all checks hold? */
  readonly succeeded: boolean;
  /** Which checks did not, where the answer says it. */
  readonly failed?: readonly number[];
  /** The commit's, or the store's at the evaluation. Not every answer shows it. */
  readonly revision?: number;
  /** One for each step of the list that ran. */
  readonly results: readonly Result[];
}

/** What an answer shows of a step; a field that it does not show is left out. */
export interface Result extends Changed {
  /** Of a get; `null`: the key is absent. */
  readonly entry?: Shown | null;
  /** Of a list. */
  readonly entries?: readonly Shown[];
  readonly count?: number;
  readonly deleted?: number;
  /** The range goes on behind `limit`. */
  readonly more?: boolean;
}

/** What an answer shows of an entry. */
export interface Shown extends Changed {
  readonly key?: string;
}

interface Changed {
  /** Of an increment the sum. */
  readonly value?: string;
  readonly revision?: number;
  readonly createRevision?: number;
  readonly version?: number;
  /** Milliseconds since 1970; `null`: never. */
  readonly expiresAt?: number | null;
}

export interface RecordedCommit {
  readonly revision: number;
  readonly events: readonly RecordedEvent[];
  /** When the watch showed it. */
  readonly seen: number;
}

export type RecordedEvent =
  | {
      readonly type: "put";
      readonly key: string;
      readonly value: string;
      readonly createRevision: number;
      readonly version: number;
      readonly expiresAt: number | null;
    }
  | { readonly type: "delete" | "expire"; readonly key: string };

/** What a checker found: the rule that is broken, and the operations that show it. */
export interface Violation {
  readonly rule: string;
  readonly message: string;
}

/** Milliseconds by which the clocks of client and server may seem to differ, rounding included. */
export const CLOCK_SLACK_MS = 20;

/** The steps that ran, where the answer says which. */
export function stepsOf({ asked, answer }: Operation): readonly Step[] {
  if (answer.kind !== "done") return [];
  return answer.succeeded ? asked.then : (asked.else ?? []);
}

/** Could the request change anything? */
export function canWrite({ then, else: otherwise = [] }: Asked): boolean {
  return then.some(isWrite) || otherwise.some(isWrite);
}

export function isWrite({ op }: Step): boolean {
  return op !== "get" && op !== "list" && op !== "count";
}

/** An operation in one line, for messages. */
export function describe({ client, call, return: end, asked, answer }: Operation): string {
  const times = `${call.toFixed(3)} to ${end.toFixed(3)} ms`;
  return `${client} (${times}) ${short(asked)} -> ${short(answer)}`;
}

/** Any value in at most 400 characters. */
export function short(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}
