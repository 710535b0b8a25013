/** Writes what a long answer yields, gathered, so that it takes few writes and little memory. */

import { writeOut } from "./output.ts";

/** Items, and bytes of their values, after which what is gathered is written. */
const GATHERED_ITEMS = 1_000;
const GATHERED_BYTES = 1024 * 1024;

/** Writes all items in their order; answers how many there were. */
export async function writePages<T extends object>(
  items: AsyncIterable<T>,
  print: (page: readonly T[]) => string,
): Promise<number> {
  let gathered: T[] = [];
  let bytes = 0;
  let count = 0;
  for await (const item of items) {
    gathered.push(item);
    count += 1;
    bytes += (item as { readonly value?: Uint8Array }).value?.length ?? 0;
    if (gathered.length < GATHERED_ITEMS && bytes < GATHERED_BYTES) continue;
    await writeOut(print(gathered));
    gathered = [];
    bytes = 0;
  }
  await writeOut(print(gathered));
  return count;
}
