/** One connection over a socket that the test holds in its hand: pings, and what is held back. */

import { describe, expect, test } from "bun:test";
import { Connection, type Socket } from "../../src/http/socket-connection.ts";
import { FramePool } from "../../src/http/socket-frames.ts";
import { SOCKET_IDLE_SECONDS, SOCKET_PING_SECONDS } from "../../src/limits.ts";
import { Hub } from "../../src/watch/hub.ts";
import { openModel } from "../support/model-store.ts";
import { openRawSocket } from "../support/raw-socket.ts";
import { put, write } from "../support/stores.ts";
import { startSocketServer } from "../support/socket-server.ts";

const PINGS = SOCKET_IDLE_SECONDS / SOCKET_PING_SECONDS;

function ignore(): void {}

function connect() {
  const done = { pings: 0, terminated: false, unsent: 0, log: [] as string[] };
  const socket: Socket = {
    send: (message) => done.log.push((JSON.parse(String(message)) as { type: string }).type),
    cork: (run) => run(),
    ping: () => done.pings++,
    close: () => {},
    terminate: () => (done.terminated = true),
    getBufferedAmount: () => done.unsent,
    subscribe: (topic) => done.log.push(`subscribe ${topic}`),
    unsubscribe: () => {},
    pause: () => {},
    resume: () => {},
  };
  const store = openModel();
  const connection = new Connection(socket, {
    store,
    hub: new Hub({ store }),
    frames: new FramePool(store, ignore),
    requests: { bytes: 0 },
    onError: ignore,
  });
  return { store, connection, done };
}

describe("a connection", () => {
  test("whose peer is silent is pinged, and cut in the end", () => {
    const { connection, done } = connect();
    for (let count = 0; count < PINGS; count++) connection.ping();
    expect(done).toMatchObject({ pings: PINGS, terminated: false });
    connection.ping();
    expect(done).toMatchObject({ pings: PINGS, terminated: true });
  });

  test("whose peer answers or sends anything stays", () => {
    const { connection, done } = connect();
    for (let count = 0; count < PINGS * 5; count++) {
      connection.ping();
      if (count % 3 === 0) connection.heard();
      if (count % 3 === 1) connection.receive("no JSON");
    }
    expect(done).toMatchObject({ pings: PINGS * 5, terminated: false });
  });

  test("that has something unsent is left to the platform", () => {
    const { connection, done } = connect();
    done.unsent = 1;
    for (let count = 0; count < PINGS * 5; count++) connection.ping();
    expect(done).toMatchObject({ pings: 0, terminated: false });
  });
});

test("a watch does not go live before its answer is out, however much is unsent", async () => {
  const { connection, done, store } = connect();
  // What was published can take a connection over the limit before anybody looks.
  connection.receive('{"id":1,"op":"watch"}');
  done.unsent = 2 * 1024 * 1024;
  await Bun.sleep(1);
  expect(done.log).toEqual([]);
  done.unsent = 0;
  connection.drained();
  await write(store, put("a"));
  expect(done.log).toEqual(["created", "subscribe watch-1"]);
});

test("a client that answers pings stays, and one that does not is cut", async () => {
  await using server = startSocketServer(openModel(), { pingMs: 5 });
  const good = await openRawSocket(server.url);
  const dead = await openRawSocket(server.url);
  await good.until(() => good.pings === 2);
  dead.pause();
  await good.until(() => good.pings > PINGS * 4);
  good.send({ id: 1, op: "list" });
  await good.until(() => good.texts.length === 1);
  dead.resume();
  await dead.closed;
  expect(dead.pings).toBeLessThan(PINGS * 3);
});
