/** One connection of a load as its driver sees it, whatever it speaks. */

import type { KvError } from "../errors.ts";

export interface Link {
  /** Sends the next request; only when the one before was answered. */
  send(): void;
  /** Lets go of the connection; nothing is told any more. */
  close(): void;
}

/** What becomes of requests. */
export interface LinkEvents {
  /** The request was answered: so many operations of it succeeded. */
  answered(operations: number): void;
  /** So many operations of the request that is being answered failed. Told before `answered`. */
  failed(error: KvError, operations: number): void;
  /** The connection is gone; a request that waits is not answered any more. */
  lost(error: KvError): void;
}

/** Which operations a connection sends. */
export interface Traffic {
  /** Of 100 operations so many are gets, the others are puts. */
  readonly reads: number;
  readonly prefix: string;
  /** How many keys there are. */
  readonly keys: number;
  readonly value: Uint8Array;
}

/** Digits of the number that each key ends with. */
export const KEY_DIGITS = 10;

/** Writes the number of a key as `KEY_DIGITS` digits. */
export function writeDigits(into: Uint8Array, at: number, number: number): void {
  let rest = number;
  for (let digit = KEY_DIGITS - 1; digit >= 0; digit--) {
    const tens = Math.floor(rest / 10);
    into[at + digit] = ZERO + (rest - tens * 10);
    rest = tens;
  }
}

/** Is the next operation a get? */
export function isRead({ reads }: Traffic): boolean {
  return reads === 100 || (reads > 0 && Math.random() * 100 < reads);
}

/** The number of any key, all of them alike. */
export function anyKey({ keys }: Traffic): number {
  return Math.floor(Math.random() * keys);
}

// --- internal ---

const ZERO = 0x30;
