/** Transactions that are within every limit and still could stop a store: by memory, by time. */

import { expect, test } from "bun:test";
import { KvError } from "../../src/errors.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn } from "../support/logs.ts";
import { del, put, write } from "../support/stores.ts";

test("transactions of small checks are bounded while they wait, by the memory that they take", async () => {
  const store = await openOn(new FakeDisk());
  const checks = Array.from({ length: store.limits.txnChecksMax }, () => ({
    key: "k",
    revision: 0,
  }));
  let refused = 0;
  // 5 million checks, with no byte of a value and no operation.
  const sent = Array.from({ length: 500 }, () =>
    store.commit({ checks, then: [] }).catch((error: unknown) => {
      expect((error as KvError).code).toBe("unavailable");
      refused++;
    }),
  );
  await Promise.all(sent);
  expect(refused).toBeGreaterThan(100);
  await write(store, put("a"));
  await store.close();
});

test("a transaction that puts and deletes a key again and again takes no longer than its length", async () => {
  const store = await openOn(new FakeDisk());
  const took = async (count: number): Promise<number> => {
    const then = Array.from({ length: count }, (_, at) => (at % 2 === 0 ? put("a") : del("a")));
    const start = performance.now();
    const { results } = await write(store, ...then);
    expect(results).toHaveLength(count);
    const puts = results.filter((result) => result.op === "put");
    expect(puts.every(({ version }) => version === 0)).toBe(true);
    return performance.now() - start;
  };
  await took(1_000);
  const short = Math.max(await took(1_000), 2);
  // In the square of its length it took 100 times as long.
  expect(await took(10_000)).toBeLessThan(40 * short);
  await store.close();
});
