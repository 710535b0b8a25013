/** A large put goes another way than a small one; whichever way, the checks mean the same. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { openRemoteStore } from "../../src/client/remote-store.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import type { Operation, RevisionCheck, Store } from "../../src/kv.ts";
import { openModel } from "../support/model-store.ts";
import { put } from "../support/stores.ts";

let behind: Store;
let server: RunningServer;
let store: Store;

beforeAll(async () => {
  behind = openModel({ revision: 4 });
  server = startServer({ store: behind, host: "127.0.0.1", port: 0 });
  store = await openRemoteStore(server.url);
});

afterAll(async () => {
  await store.close();
  await server.stop();
});

const FORMS: Omit<RevisionCheck, "key">[] = [
  { revision: 0 },
  { revision: [0, 0] },
  { revision: 0, not: true },
  { revision: 5 },
  { revision: [5, 6] },
  { revision: [0, 5] },
  { revision: 5, not: true },
  { revision: [5, 6], not: true },
  { revision: [0, 5], not: true },
];

const large = new Uint8Array(70_000);

for (const state of ["absent", "at 5", "at another revision"]) {
  for (const form of FORMS) {
    test(`${JSON.stringify(form)} of a key ${state} means the same for a large put`, async () => {
      const model = openModel({ revision: 4 });
      const own = openModel({ revision: 4 });
      const front = startServer({ store: own, host: "127.0.0.1", port: 0 });
      const remote = await openRemoteStore(front.url);
      for (const one of [model, own]) {
        if (state === "at another revision") await one.commit({ checks: [], then: [put("x")] });
        if (state !== "absent") await one.commit({ checks: [], then: [put("k")] });
      }
      const txn = { checks: [{ key: "k", ...form }], then: [put("k", large)] };
      expect(await remote.commit(txn)).toEqual(await model.commit(txn));
      await remote.close();
      await front.stop();
    });
  }
}

test("a large put with further checks or operations is still all or nothing", async () => {
  const operations: Operation[] = [put("a", large), put("b", large)];
  const refused = await store.commit({ checks: [{ key: "other", revision: 9 }], then: operations });
  expect(refused).toMatchObject({ succeeded: false, failed: [0], results: [] });
  const other = { checks: [{ key: "other", revision: 0 }], then: operations.slice(0, 1) };
  expect(await store.commit(other)).toMatchObject({ succeeded: true });
  const both = await store.commit({ checks: [{ key: "b", revision: 0 }], then: operations });
  expect(both).toMatchObject({ succeeded: true, results: [{ key: "a" }, { key: "b" }] });
  const found = { checks: [{ key: "a", revision: 1 }], then: [put("a", large)] };
  const otherwise = await store.commit({ ...found, else: [{ op: "get", key: "a", keys: true }] });
  expect(otherwise).toMatchObject({ succeeded: false, results: [{ entry: { key: "a" } }] });
});
