/** How long the random tests go on: `KV_TEST_ROUNDS` multiplies their rounds, 1 when it is not set. */

const factor = Number(process.env["KV_TEST_ROUNDS"] || 1);

if (!Number.isSafeInteger(factor) || factor < 1) {
  throw new Error(
    `KV_TEST_ROUNDS is ${process.env["KV_TEST_ROUNDS"]}; it must be a whole number from 1`,
  );
}

/**
 * Milliseconds that a random test may take, many times what it needs: with more rounds more, but a
 * test that hangs has to end in time for its run to say so.
 */
export const RANDOM_MS_MAX = 60_000 + factor * 5_000;

/** `count` rounds for a quick run, more where the environment asks for more. */
export function rounds(count: number): number {
  return count * factor;
}
