/** Watchers on one stream that need different parts of it: each gets its own, and nothing else. */

import { expect, test } from "bun:test";
import { filterOf } from "../../src/client/filter.ts";
import type { Watcher } from "../../src/client/watcher.ts";
import type { JsonEvent } from "../../src/json.ts";
import type { SocketFrame } from "../../src/messages.ts";
import { pullChanges, quickWatches } from "./quick-watches.ts";
import { startScriptedServer, type ScriptedConnection } from "./scripted-server.ts";
import { until } from "./until.ts";

const LATEST = filterOf({}, { latest: true });

function created(id: number | string, revision: number) {
  return { id, type: "created", watch: 1, revision, store: "s" } as const;
}

/** A change that stands for events of these revisions, each of a key of its own. */
function change(...revisions: number[]): SocketFrame {
  const events = revisions.map((revision): JsonEvent => {
    return { type: "delete", key: `k${revision}`, revision };
  });
  return { watch: 1, type: "change", revision: revisions.at(-1)!, events };
}

/** Answers the question of a watcher that joins. */
async function answerNow(connection: ScriptedConnection, revision: number): Promise<void> {
  const { id } = await connection.next("list");
  connection.send({ id, type: "result", revision, entries: [] });
}

/** The revisions of the events of the next changes. */
async function eventsOf(watcher: Watcher): Promise<number[]> {
  for (;;) {
    const changes = await pullChanges(watcher);
    const revisions = changes.flatMap(({ events }) => events.map(({ revision }) => revision));
    if (revisions.length > 0) return revisions;
  }
}

test("with `latest` one that joins gets no events from before it, also not put together", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url);
  const first = watches.watch({ filter: LATEST, from: 5 });
  const connection = await server.connection(0);
  connection.send(created((await connection.next("watch")).id, 4));
  await first.started;
  const kept = watches.watch({ filter: LATEST });
  await until(() => connection.requests.length === 1);
  // It begins in the middle of a change that came while it was asking.
  connection.send(change(5, 6, 7, 8));
  await answerNow(connection, 6);
  expect((await kept.started).revision).toBe(6);
  expect(await eventsOf(first)).toEqual([5, 6, 7, 8]);
  expect(await eventsOf(kept)).toEqual([7, 8]);
  // The next one begins in the middle of a change that comes after its answer.
  const ahead = watches.watch({ filter: LATEST });
  await answerNow(connection, 10);
  expect((await ahead.started).revision).toBe(10);
  connection.send(change(9, 10, 11));
  expect(await eventsOf(first)).toEqual([9, 10, 11]);
  expect(await eventsOf(kept)).toEqual([9, 10, 11]);
  expect(await eventsOf(ahead)).toEqual([11]);
  watches.close();
});

test("with `latest` what is asked for again for another is cut to what each still needs", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url);
  const behind = watches.watch({ filter: LATEST, from: 5 });
  const lost = await server.connection(0);
  lost.send(created((await lost.next("watch")).id, 4));
  await behind.started;
  const ahead = watches.watch({ filter: LATEST });
  await answerNow(lost, 6);
  await ahead.started;
  lost.close();
  const connection = await server.connection(1);
  const again = await connection.next("watch");
  expect(again).toMatchObject({ from: 5 });
  connection.send(created(again.id, 4), change(5, 6, 7));
  expect(await eventsOf(behind)).toEqual([5, 6, 7]);
  expect(await eventsOf(ahead)).toEqual([7]);
  watches.close();
});

test("one that is joining when the stream is reset begins on another, and only there", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url);
  const stays = watches.watch({ filter: filterOf({}), from: 5, initial: true });
  const connection = await server.connection(0);
  connection.send(created((await connection.next("watch")).id, 4));
  await stays.started;
  const joining = watches.watch({ filter: filterOf({}) });
  await until(() => connection.requests.length === 1);
  connection.send({ watch: 1, type: "reset", revision: 20, store: "s" });
  // Too late: it must not begin by this answer any more.
  await answerNow(connection, 21);
  connection.send({ watch: 1, type: "sync", revision: 20, store: "s" }, change(21));
  expect(await eventsOf(stays)).toEqual([21]);
  expect(joining.isStarted).toBe(false);
  const other = await server.connection(1);
  const own = await other.next("watch");
  expect(own.from).toBeUndefined();
  other.send(created(own.id, 25), change(26));
  expect((await joining.started).revision).toBe(25);
  expect(await eventsOf(joining)).toEqual([26]);
  watches.close();
});
