/**
 * Columns of integers in as few bytes as they need: the smallest value once, and of each value how
 * far it is above that. Columns begin at multiples of 8, so that they are read and written in
 * place; the processors that kv runs on have the byte order of the format.
 */

/** As its head tells a column. */
export interface ColumnHead {
  readonly base: number;
  /** Bytes of each value: 0, where all are the same, 1, 2, 4 or 8. */
  readonly width: number;
}

/** The head of the column that holds the first `count` values, at least one. */
export function headOfColumn(values: Float64Array, count: number): ColumnHead {
  let low = Infinity;
  let high = 0;
  for (let at = 0; at < count; at++) {
    const value = values[at]!;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (high === low) return { base: low, width: 0 };
  const range = high - low;
  return { base: low, width: range < 2 ** 8 ? 1 : range < 2 ** 16 ? 2 : range < 2 ** 32 ? 4 : 8 };
}

/** Bytes that a column takes, zeros up to a multiple of 8 included. */
export function columnBytes({ width }: ColumnHead, count: number): number {
  return Math.ceil((width * count) / 8) * 8;
}

/** Writes the first `count` values of a column to `at`, where there are zeros. */
export function writeColumn(
  into: Uint8Array,
  at: number,
  { base, width }: ColumnHead,
  values: Float64Array,
  count: number,
): void {
  const { buffer, byteOffset } = into;
  const start = byteOffset + at;
  if (width === 8) {
    const words = new Uint32Array(buffer, start, 2 * count);
    for (let index = 0; index < count; index++) {
      const value = values[index]! - base;
      words[2 * index] = value % TWO_TO_32;
      words[2 * index + 1] = value / TWO_TO_32;
    }
  } else if (width === 4) {
    const column = new Uint32Array(buffer, start, count);
    for (let index = 0; index < count; index++) column[index] = values[index]! - base;
  } else if (width === 2) {
    const column = new Uint16Array(buffer, start, count);
    for (let index = 0; index < count; index++) column[index] = values[index]! - base;
  } else if (width === 1) {
    const column = new Uint8Array(buffer, start, count);
    for (let index = 0; index < count; index++) column[index] = values[index]! - base;
  }
}

/** Reads `count` values of the column at `at`. */
export function readColumn(
  from: Uint8Array,
  at: number,
  { base, width }: ColumnHead,
  values: Float64Array,
  count: number,
): void {
  const { buffer, byteOffset } = from;
  const start = byteOffset + at;
  if (width === 8) {
    const words = new Uint32Array(buffer, start, 2 * count);
    for (let index = 0; index < count; index++) {
      values[index] = base + words[2 * index]! + words[2 * index + 1]! * TWO_TO_32;
    }
  } else if (width === 4) {
    const column = new Uint32Array(buffer, start, count);
    for (let index = 0; index < count; index++) values[index] = base + column[index]!;
  } else if (width === 2) {
    const column = new Uint16Array(buffer, start, count);
    for (let index = 0; index < count; index++) values[index] = base + column[index]!;
  } else if (width === 1) {
    const column = new Uint8Array(buffer, start, count);
    for (let index = 0; index < count; index++) values[index] = base + column[index]!;
  } else values.fill(base, 0, count);
}

/** Is it a width that a column can have? */
export function isWidth(width: number): boolean {
  return width <= 2 || width === 4 || width === 8;
}

// --- internal ---

const TWO_TO_32 = 2 ** 32;
