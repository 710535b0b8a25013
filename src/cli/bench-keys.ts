/** The keys of a bench: that nobody else's are in the way, their filling, and their removal. */

import type { KvClient } from "../client/index.ts";
import type { Limits } from "../limits.ts";
import { KEY_DIGITS } from "./bench-link.ts";
import { CONDITION_FAILED } from "./exit-codes.ts";
import { Failure } from "./failure.ts";
import { showText } from "./output.ts";
import { showCount } from "./preview.ts";

export interface BenchKeys {
  readonly prefix: string;
  /** How many. */
  readonly keys: number;
  readonly value: Uint8Array;
}

/** @throws `Failure` when there are keys with the prefix. */
export async function refuseOthers(
  client: KvClient,
  prefix: string,
  signal: AbortSignal,
): Promise<void> {
  const count = await client.count({ prefix }, { signal });
  if (count === 0) return;
  const there = `${showCount(count, "key")} under ${showText(prefix)} already`;
  throw new Failure(
    `there ${count === 1 ? "is" : "are"} ${there}; choose another --prefix, or say --force, ` +
      "which replaces and removes those that are named like the keys of the bench",
    CONDITION_FAILED,
  );
}

/** Puts every key. `onProgress` gets how many are done. */
export async function fill(
  client: KvClient,
  { prefix, keys, value }: BenchKeys,
  limits: Limits,
  onProgress: (done: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const bytes = value.length + prefix.length + KEY_DIGITS;
  const step = Math.max(1, Math.min(stepOf(limits), Math.floor(STEP_BYTES / bytes)));
  await inSteps(keys, step, onProgress, async (first, end) => {
    if (end - first === 1) {
      await client.put(keyName(prefix, first), value, { signal });
      return;
    }
    const then = numbers(first, end).map((number) => {
      return { op: "put", key: keyName(prefix, number), value } as const;
    });
    await client.txn({ then }, { signal });
  });
}

/**
 * Deletes the keys of the bench that are there, and no other one. `onProgress` gets how many of all
 * are behind it.
 */
export async function removeKeys(
  client: KvClient,
  { prefix, keys }: BenchKeys,
  limits: Limits,
  onProgress: (done: number) => void,
): Promise<void> {
  const range = { start: keyName(prefix, 0), end: keyName(prefix, keys) };
  let after: string | undefined;
  for (;;) {
    const page = await client.page(range, { keys: true, limit: stepOf(limits), after });
    const own = page.entries.filter(({ key }) => DIGITS.test(key.slice(prefix.length)));
    const last = own.at(-1);
    if (last !== undefined) {
      await client.txn({ then: own.map(({ key }) => ({ op: "delete", key })) });
      onProgress(Number(last.key.slice(prefix.length)) + 1);
    }
    if (!page.more) return;
    after = page.next;
  }
}

export function keyName(prefix: string, number: number): string {
  return prefix + String(number).padStart(KEY_DIGITS, "0");
}

// --- internal ---

/** What is behind the prefix of a key of the bench. */
const DIGITS = new RegExp(`^\\d{${KEY_DIGITS}}$`);
/** Keys and bytes of one transaction: large enough to be fast, small enough to hold nobody up. */
const STEP_KEYS = 1_000;
const STEP_BYTES = 1024 * 1024;
/** Transactions on their way at a time. */
const STEPS_AT_ONCE = 4;

function stepOf(limits: Limits): number {
  return Math.min(STEP_KEYS, limits.txnOperationsMax, limits.commitEventsMax);
}

function numbers(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index);
}

async function inSteps(
  keys: number,
  step: number,
  onProgress: (done: number) => void,
  run: (first: number, end: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (next < keys) {
      const first = next;
      const end = Math.min(first + step, keys);
      next = end;
      await run(first, end);
      done += end - first;
      onProgress(done);
    }
  };
  await Promise.all(Array.from({ length: STEPS_AT_ONCE }, worker));
}
