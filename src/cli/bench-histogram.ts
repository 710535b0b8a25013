/**
 * Times of any number of requests in little memory: counts in buckets, each less than 1 % wide
 * (after HdrHistogram). What is asked of it is at most half a bucket away from what was recorded.
 */

export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #sum = 0;
  #max = 0;

  /** How many were recorded. */
  get count(): number {
    return this.#count;
  }

  /** The largest that was recorded, in milliseconds; 0 of none. */
  get maxMs(): number {
    return this.#max;
  }

  /** In milliseconds; 0 of none. */
  get meanMs(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /** Records milliseconds, exact to the microsecond. */
  record(milliseconds: number): void {
    this.#counts[bucketOf(milliseconds * 1_000)]!++;
    this.#count++;
    this.#sum += milliseconds;
    if (milliseconds > this.#max) this.#max = milliseconds;
  }

  /** The milliseconds that a share (0 to 1) of all were not above; 0 of none. */
  percentileMs(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]!;
      if (seen >= rank) return Math.min(middleOf(bucket) / 1_000, this.#max);
    }
    return this.#max;
  }
}

// --- internal ---

/** Buckets of each power of two; microseconds below twice as many have one of their own. */
const STEPS_BITS = 7;
const STEPS = 2 ** STEPS_BITS;
/** More microseconds (35 minutes) are counted as so many. */
const MICROSECONDS_MAX = 2 ** 31 - 1;
const BUCKETS = 2 * STEPS + (31 - STEPS_BITS - 1) * STEPS;

function bucketOf(microseconds: number): number {
  const whole = Math.min(Math.max(0, Math.floor(microseconds)), MICROSECONDS_MAX);
  if (whole < 2 * STEPS) return whole;
  const shift = 31 - Math.clz32(whole) - STEPS_BITS;
  return shift * STEPS + (whole >>> shift);
}

/** Microseconds in the middle of a bucket. */
function middleOf(bucket: number): number {
  if (bucket < 2 * STEPS) return bucket + 0.5;
  const shift = Math.floor(bucket / STEPS) - 1;
  return (bucket - shift * STEPS + 0.5) * 2 ** shift;
}
