/** How long a watch waits before it connects again, by what became of the attempts before. */

import { expect, test } from "bun:test";
import { filterOf } from "../../src/client/filter.ts";
import { quickWatches } from "./quick-watches.ts";
import { startScriptedServer } from "./scripted-server.ts";

/** The shortest wait that these tests allow; no timer of anything else is a multiple of it. */
const WAIT_MS = 97;
/** Timers of a connection are longer than all waits. */
const WAIT_MS_MAX = 1_000;

/** The waits while `run` does its work, in units of the shortest; they pass at once. */
async function waitsDuring(run: () => Promise<void>): Promise<number[]> {
  const waits: number[] = [];
  const own = globalThis.setTimeout;
  const noting = (callback: () => void, ms = 0): unknown => {
    if (ms === 0 || ms % WAIT_MS !== 0 || ms > WAIT_MS_MAX) return own(callback, ms);
    waits.push(ms / WAIT_MS);
    return own(callback, 0);
  };
  globalThis.setTimeout = noting as typeof setTimeout;
  try {
    await run();
  } finally {
    globalThis.setTimeout = own;
  }
  return waits;
}

/** The waits of a watch that loses connections: some before it was `made`, others after that. */
async function waitsAfter(losses: readonly ("made" | "lost")[]): Promise<number[]> {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url, {
    backoffMsMin: 2 * WAIT_MS,
    backoffMsMax: 2 * WAIT_MS_MAX,
    // As short as chance can make them: half of what they are at most.
    random: () => 0,
  });
  return await waitsDuring(async () => {
    const watcher = watches.watch({ filter: filterOf({}), from: 5, waitForServer: true });
    for (const [index, loss] of losses.entries()) {
      const connection = await server.connection(index);
      const { id } = await connection.next("watch");
      const answer = { id, type: "created", watch: 1, revision: 4, store: "s" } as const;
      if (loss === "made") connection.send(answer);
      connection.close();
    }
    const last = await server.connection(losses.length);
    expect(await last.next("watch")).toMatchObject({ from: 5 });
    watcher.stop();
  });
}

test("each connection that is lost before the watch is made doubles the wait", async () => {
  expect(await waitsAfter(["lost", "lost", "lost", "lost"])).toEqual([1, 2, 4, 8]);
});

test("losses with a made watch between them are each waited for as if they were the first", async () => {
  expect(await waitsAfter(["made", "made", "made", "made"])).toEqual([1, 1, 1, 1]);
});

test("a watch that is made makes the waits short again, however long they had become", async () => {
  const losses = ["made", "lost", "lost", "lost", "made", "lost", "made"] as const;
  expect(await waitsAfter(losses)).toEqual([1, 2, 4, 8, 1, 2, 1]);
});
