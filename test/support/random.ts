/** Numbers that look random and come again from the same seed; a failing test names its seed. */

export interface Random {
  readonly seed: number;
  /** At least 0 and below 1. */
  next(): number;
  /** An integer from 0 to `count - 1`. */
  below(count: number): number;
  /** True in one of `count` cases on average. */
  oneIn(count: number): boolean;
  pick<T>(items: readonly T[]): T;
}

/**
 * The seed to begin with: `KV_TEST_SEED`, which replays one test; `KV_TEST_SEEDS`, which all tests
 * of a run begin with; else another one each time.
 */
export function randomSeed(): number {
  return givenSeed() ?? Math.floor(Math.random() * 2 ** 32);
}

/** The same as an option of a property of fast-check, which has seeds of its own else. */
export function propertySeed(): { readonly seed?: number } {
  const seed = givenSeed();
  return seed === undefined ? {} : { seed };
}

/** Mulberry32. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count: number): number => Math.floor(next() * count);
  return {
    seed,
    next,
    below,
    oneIn: (count) => below(count) === 0,
    pick: (items) => items[below(items.length)]!,
  };
}

/** Runs `body` with a seed of its own; a failure says which. */
export async function withSeed(
  seed: number,
  body: (random: Random) => void | Promise<void>,
): Promise<void> {
  try {
    await body(random(seed));
  } catch (error) {
    throw new Error(`failed with KV_TEST_SEED=${seed}`, { cause: error });
  }
}

// --- internal ---

function givenSeed(): number | undefined {
  const given = process.env["KV_TEST_SEED"] ?? process.env["KV_TEST_SEEDS"];
  return given === undefined ? undefined : Number(given);
}
