/** The arithmetic of the bench: medians, percentiles, and the ratio of two alternating series. */

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** The middle one, or the mean of the two in the middle. @throws RangeError of nothing. */
export function median(numbers: readonly number[]): number {
  if (numbers.length === 0) throw new RangeError("there is no median of nothing");
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The smallest of `sorted` that `share` (0 to 1) of them do not pass: nearest rank. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) throw new RangeError("there is no percentile of nothing");
  const rank = Math.ceil(share * sorted.length);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1]!;
}

export function spread(numbers: readonly number[]): Spread {
  return {
    median: median(numbers),
    least: Math.min(...numbers),
    most: Math.max(...numbers),
  };
}

/** Of each round its own ratio: what slowed the machine down in it has slowed both. */
export function ratios(ours: readonly number[], theirs: readonly number[]): number[] {
  if (ours.length !== theirs.length) throw new RangeError("a round has one figure of each side");
  return ours.map((figure, round) => figure / theirs[round]!);
}
