/** Passes a copy of a store on and sees to it that nothing broken or cut short passes as whole. */

import { SnapshotParser, type SnapshotSummary } from "./snapshot-parser.ts";

export type { SnapshotSummary } from "./snapshot-parser.ts";

/**
 * Yields the same bytes. Ends only when the copy is whole to its last byte, and tells then what was
 * in it: to `onSummary`, and as the generator's result.
 * @throws `internal` when it is broken or cut short, with the byte at which it is.
 */
export async function* verifySnapshot(
  pieces: AsyncIterable<Uint8Array>,
  onSummary: (summary: SnapshotSummary) => void = () => undefined,
): AsyncGenerator<Uint8Array, SnapshotSummary> {
  const parser = new SnapshotParser();
  for await (const piece of pieces) {
    // Only their checks count here.
    for (const _ of parser.push(piece));
    yield piece;
  }
  const summary = parser.finish();
  onSummary(summary);
  return summary;
}
