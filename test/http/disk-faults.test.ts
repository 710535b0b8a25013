/** What a client of the server hears of a disk that does not read, or is full. */

import { expect, test } from "bun:test";
import { openFilling, leave } from "../support/full-disk.ts";
import { put, write } from "../support/stores.ts";
import { expectRefusal, startTestServer } from "../support/test-server.ts";

test("a value that cannot be read is a 500, told with file and offset; all else goes on", async () => {
  const { store, disk } = await openFilling({ valueCacheBytesMax: 0, segmentBytesMax: 400 });
  await using server = await startTestServer({ store });
  await write(store, put("bad", "x".repeat(300)));
  await write(store, put("good", "fine"));
  disk.lookFault = ({ kind, name }) =>
    kind === "read" && name === "0000000001.log" ? "EIO" : undefined;
  const bad = await server.fetch("/v1/kv/bad");
  expect(bad.status).toBe(500);
  expect(await bad.json()).toMatchObject({ error: { code: "internal" } });
  const [told] = server.errors as [Error];
  expect(told.message).toMatch(/0000000001\.log at offset 128 .*EIO/);
  expect(await (await server.fetch("/v1/kv/good")).text()).toBe("fine");
  expect((await server.fetch("/v1/kv?keys=true")).status).toBe(200);
  const next = { method: "PUT", body: "new" };
  expect((await server.fetch("/v1/kv/bad", next)).status).toBe(200);
  expect(await (await server.fetch("/v1/kv/bad")).text()).toBe("new");
  expect(server.errors).toHaveLength(1);
});

test("a full disk is a 507 that says what to do, until there is room", async () => {
  const { store, disk, look } = await openFilling();
  await using server = await startTestServer({ store });
  await write(store, put("a", "1"));
  leave(disk, 300);
  const large = { method: "PUT", body: "x".repeat(2_000) };
  await expectRefusal(server, () => server.fetch("/v1/kv/b", large), {
    status: 507,
    code: "storage_full",
    message: /disk is full.*nothing was changed.*make room.*delete/,
  });
  expect((await server.fetch("/v1/incr/count", { method: "POST" })).status).toBe(507);
  expect(await (await server.fetch("/v1/kv/a")).text()).toBe("1");
  expect((await server.fetch("/v1/kv/a", { method: "DELETE" })).status).toBe(200);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  await look();
  expect((await server.fetch("/v1/kv/b", large)).status).toBe(201);
  expect(server.errors).toEqual([]);
});
