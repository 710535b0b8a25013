/** How late keys expire, with many that have a deadline. */

import { expect, test } from "bun:test";
import { temporaryLog } from "../support/temporary-log.ts";
import { measureLateness } from "./expiry-lateness.ts";

test("100,000 live keys expire close to their deadlines, which are spread over a minute", async () => {
  await using log = await temporaryLog();
  const lateness = await measureLateness(log.store, 100_000, 1_500);
  process.stdout.write(`expiries, in ms behind the deadline: ${JSON.stringify(lateness)}\n`);
  expect(lateness.expired).toBeGreaterThan(0);
  expect(lateness.earliest).toBeGreaterThanOrEqual(0);
  // The promise is 50 ms on a machine that has time; this one may have other things to do.
  expect(lateness.median).toBeLessThan(1_000);
}, 60_000);
