/**
 * The sum of what a server keeps in memory, worked out from its limits. The README states it, and
 * floods of slow clients are held to it.
 */

import {
  BATCH_BYTES_MAX,
  BODIES_BYTES_MAX,
  BODY_PIECE_BYTES_MAX,
  JSON_BODY_BYTES_MAX,
  JSON_GARBAGE_BYTES,
  LIMITS,
  QUEUE_BYTES_MAX,
  RECENT_BYTES_MAX,
  SOCKET_MESSAGE_BYTES_MAX,
  SOCKETS_REQUEST_BYTES_MAX,
  VALUE_CACHE_BYTES_MAX,
  WATCHER_PULLS_MAX,
  WATCHER_UNSENT_BYTES_MAX,
} from "../../src/limits.ts";

const MIB = 1024 ** 2;

/** What all clients share, in bytes, each by the words of the README. */
export const SHARED_BYTES = {
  "the program, with garbage": 256 * MIB,
  "values read last, newest commits": VALUE_CACHE_BYTES_MAX + RECENT_BYTES_MAX,
  // In pieces that the platform rounds up, with what those that were refused have left behind.
  "request bodies that are being read": 2 * BODIES_BYTES_MAX,
  // A text that is not Latin-1 has two bytes a character.
  "WebSocket requests not answered yet": 2 * SOCKETS_REQUEST_BYTES_MAX,
  // The body in one piece, its text, the values of that, what they are as bytes; in their worst case.
  "JSON that is being taken apart": 8 * (JSON_BODY_BYTES_MAX + JSON_GARBAGE_BYTES),
  "writes that wait for the disk": QUEUE_BYTES_MAX + LIMITS.commitBytesMax,
  // With the commit that passes the bound, and encoded beside what it was made of.
  "writes on their way to the disk": 2 * (BATCH_BYTES_MAX + LIMITS.commitBytesMax),
  // The largest commit, and its frames.
  "history that is read for watches": WATCHER_PULLS_MAX * 2 * LIMITS.commitBytesMax,
} as const;

export type SharedPart = keyof typeof SHARED_BYTES;

/** What each slow client takes besides its answer, which it takes twice, in bytes. */
export const CLIENT_BYTES = {
  "HTTP request": BODY_PIECE_BYTES_MAX,
  "watch over HTTP": 2 * WATCHER_UNSENT_BYTES_MAX,
  "WebSocket connection": 6 * WATCHER_UNSENT_BYTES_MAX,
  "WebSocket message that is not whole": SOCKET_MESSAGE_BYTES_MAX,
} as const;

/** What all clients share, or some parts of it. */
export function sharedBytes(
  parts: readonly SharedPart[] = Object.keys(SHARED_BYTES) as SharedPart[],
): number {
  return parts.reduce((sum, part) => sum + SHARED_BYTES[part], 0);
}

/** A number of bytes as whole MiB, rounded up. */
export function inMib(bytes: number): string {
  return `${Math.ceil(bytes / MIB).toLocaleString("en")} MiB`;
}
