/** A server that is killed under a client: what was answered holds, and what was not is unknown. */

import { expect, test } from "bun:test";
import { connect, KvError } from "../../src/client/index.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { startServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { expectFailure } from "./expect-failure.ts";

test("a wait ends as unavailable, and goes on from its revision at the next server", async () => {
  using directory = temporaryDirectory();
  const first = await startServerProcess({ directory: directory.path });
  const before = connect(first.url);
  const { revision } = await before.put("k", "old");
  const wait = before.wait("k", { after: revision });
  const ended = expectFailure(wait, "unavailable");
  await before.put("other", "x");
  await first.kill();
  await ended;
  await using second = await startServerProcess({ directory: directory.path });
  const after = connect(second.url);
  const again = after.wait("k", { after: revision, timeoutMs: 5_000 });
  await after.put("k", "new");
  expect((await again)?.text()).toBe("new");
  await Promise.all([before.close(), after.close()]);
});

test(
  "increments count once each: those answered, and of those unknown some",
  async () => {
    for (let round = 0; round < rounds(2); round++) await countThroughKill();
  },
  RANDOM_MS_MAX,
);

async function countThroughKill(): Promise<void> {
  using directory = temporaryDirectory();
  const server = await startServerProcess({ directory: directory.path });
  const kv = connect(server.url);
  const sums: bigint[] = [];
  let unknown = 0;
  const count = async (): Promise<void> => {
    for (;;) {
      try {
        sums.push((await kv.incr("n")).value);
        if (sums.length === 200) void server.kill();
      } catch (error) {
        if (!(error instanceof KvError)) throw error;
        expect(["outcome_unknown", "unavailable"]).toContain(error.code);
        if (error.code === "outcome_unknown") unknown += 1;
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: 16 }, count));
  await server.exited;
  await using next = await startServerProcess({ directory: directory.path });
  const after = connect(next.url);
  const total = BigInt((await after.get("n"))!.text());
  expect(new Set(sums).size).toBe(sums.length);
  expect(total).toBeGreaterThanOrEqual(BigInt(sums.length));
  expect(total).toBeLessThanOrEqual(BigInt(sums.length + unknown));
  await Promise.all([kv.close(), after.close()]);
}
