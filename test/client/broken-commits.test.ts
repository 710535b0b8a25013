/** Commits that come in several frames and break off: what is sent anew counts, and only that. */

import { expect, test } from "bun:test";
import { filterOf } from "../../src/client/filter.ts";
import type { Watcher } from "../../src/client/watcher.ts";
import type { JsonEvent } from "../../src/json.ts";
import type { SocketFrame, WatchFrame } from "../../src/messages.ts";
import { pullChanges, quickWatches } from "./quick-watches.ts";
import { startScriptedServer } from "./scripted-server.ts";
import { startScriptedStreams } from "./scripted-streams.ts";

const ALL = filterOf({});

/** A piece of a commit: these keys, and more to come unless it is the last. */
function piece(revision: number, keys: string, more?: "more"): WatchFrame {
  const events = [...keys].map((key): JsonEvent => ({ type: "delete", key, revision }));
  return { type: "change", revision, events, ...(more && { more: true }) };
}

function of(watch: number, ...frames: WatchFrame[]): SocketFrame[] {
  return frames.map((frame) => Object.assign({ watch }, frame) as SocketFrame);
}

function created(id: number | string, watch: number, revision: number) {
  return { id, type: "created", watch, revision, store: "s" } as const;
}

/** Changes as `5:abc`, until that of revision `last` has come. */
async function commits(watcher: Watcher, last: number): Promise<string[]> {
  const seen: string[] = [];
  while (!seen.some((commit) => commit.startsWith(`${last}:`))) {
    for (const { revision, events } of await pullChanges(watcher)) {
      seen.push(`${revision}:${events.map(({ key }) => key).join("")}`);
    }
  }
  return seen;
}

/** What was cut off behind `ab`, as it may come again. */
const ANEW: [string, WatchFrame[]][] = [
  ["in the same frames", [piece(5, "ab", "more"), piece(5, "c")]],
  ["in other frames", [piece(5, "a", "more"), piece(5, "b", "more"), piece(5, "c")]],
  ["whole", [piece(5, "abc")]],
];

for (const [how, frames] of ANEW) {
  test(`a commit broken off by a lost connection and sent anew ${how} is given once`, async () => {
    await using server = startScriptedServer();
    const watcher = quickWatches(server.url).watch({ filter: ALL, from: 4 });
    const first = await server.connection(0);
    first.send(created((await first.next("watch")).id, 1, 3));
    first.send(...of(1, piece(4, "z"), piece(5, "ab", "more")));
    expect(await commits(watcher, 4)).toEqual(["4:z"]);
    first.close();
    const second = await server.connection(1);
    const again = await second.next("watch");
    expect(again).toMatchObject({ from: 5 });
    second.send(created(again.id, 1, 4), ...of(1, ...frames, piece(6, "d")));
    expect(await commits(watcher, 6)).toEqual(["5:abc", "6:d"]);
    watcher.stop();
  });
}

test("a commit broken off twice is given once", async () => {
  await using server = startScriptedServer();
  const watcher = quickWatches(server.url).watch({ filter: ALL, from: 5 });
  for (const index of [0, 1]) {
    const connection = await server.connection(index);
    const asked = await connection.next("watch");
    expect(asked).toMatchObject({ from: 5 });
    connection.send(created(asked.id, 1, 4), ...of(1, piece(5, "ab", "more")));
    connection.close();
  }
  const last = await server.connection(2);
  const asked = await last.next("watch");
  last.send(created(asked.id, 1, 4), ...of(1, piece(5, "ab", "more"), piece(5, "c")));
  expect(await commits(watcher, 5)).toEqual(["5:abc"]);
  watcher.stop();
});

test("a commit broken off by the end of its watch is given once", async () => {
  await using server = startScriptedServer();
  const watcher = quickWatches(server.url).watch({ filter: ALL, from: 5 });
  const connection = await server.connection(0);
  connection.send(created((await connection.next("watch")).id, 1, 4));
  connection.send(...of(1, piece(5, "ab", "more"), { type: "end", reason: "too_slow" }));
  const again = await connection.next("watch");
  expect(again).toMatchObject({ from: 5 });
  connection.send(created(again.id, 2, 4), ...of(2, piece(5, "ab", "more"), piece(5, "c")));
  expect(await commits(watcher, 5)).toEqual(["5:abc"]);
  watcher.stop();
});

test("a commit broken off with its HTTP stream is given once", async () => {
  await using server = startScriptedStreams();
  const watcher = quickWatches(server.url, { transport: "http" }).watch({ filter: ALL, from: 5 });
  const start: WatchFrame = { type: "created", revision: 4, store: "s" };
  const first = await server.stream(0);
  first.send(start, piece(5, "ab", "more"));
  first.end();
  const second = await server.stream(1);
  expect(second.query).toBe("from=5");
  second.send(start, piece(5, "ab", "more"), piece(5, "c"));
  expect(await commits(watcher, 5)).toEqual(["5:abc"]);
  watcher.stop();
});
