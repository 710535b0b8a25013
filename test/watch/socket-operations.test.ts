/** The thin path: all operations and one watch over one connection. */

import { expect, test } from "bun:test";
import { openModel } from "../support/model-store.ts";
import { openSocket } from "../support/socket-client.ts";
import { startSocketServer } from "../support/socket-server.ts";

test("operations and watches work over one connection", async () => {
  const store = openModel();
  await using server = startSocketServer(store);
  const client = await openSocket(server.url, ["kv.v1"]);
  expect(client.protocol).toBe("kv.v1");
  expect(await client.request({ op: "put", key: "a", value: "1" })).toMatchObject({
    type: "result",
    key: "a",
    revision: 1,
    createRevision: 1,
    version: 1,
  });
  const created = await client.request({ op: "watch", prefix: "", from: 1 });
  expect(created).toMatchObject({ type: "created", watch: 1, revision: 0 });
  const first = await client.until((m) => m.type === "change");
  expect(first).toMatchObject({ watch: 1, revision: 1 });
  await client.request({ op: "put", key: "b", value: "2" });
  await client.until((m) => m.type === "change" && m["revision"] === 2);
  expect(await client.request({ op: "get", key: "b" })).toMatchObject({
    type: "result",
    revision: 2,
    entry: { key: "b", value: "2" },
  });
  expect(await client.request({ op: "list" })).toMatchObject({
    revision: 2,
    entries: [{ key: "a" }, { key: "b" }],
  });
  expect(await client.request({ op: "delete", key: "b" })).toMatchObject({
    deleted: 1,
    revision: 3,
  });
  expect(await client.request({ op: "unwatch", watch: 1 })).toMatchObject({ watch: 1 });
  await client.request({ op: "put", key: "b", value: "3" });
  expect(client.messages.filter((m) => m.type === "change").length).toBe(3);
  expect(server.errors).toEqual([]);
  const stopped = server.stop();
  expect(await client.closed).toEqual({ code: 1001, reason: "the server is stopping" });
  await stopped;
});
