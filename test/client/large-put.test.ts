/** A large put goes another way than a small one; whichever way, the checks mean the same. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { largePutHeaders } from "../../src/client/large-put.ts";
import { openRemoteStore } from "../../src/client/remote-store.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import type { Check, Operation, Store } from "../../src/kv.ts";
import { openModel } from "../support/model-store.ts";
import { bytes, put, TEXT } from "../support/stores.ts";

type WithoutKey<T> = T extends Check ? Omit<T, "key"> : never;
type Form = WithoutKey<Check>;

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

/** Checks of the key `k`; each list is one transaction's. */
const FORMS: Form[][] = [
  [{ revision: 0 }],
  [{ revision: [0, 0] }],
  [{ revision: 0, not: true }],
  [{ revision: 5 }],
  [{ revision: [5, 6] }],
  [{ revision: [0, 5] }],
  [{ revision: 5, not: true }],
  [{ revision: [5, 6], not: true }],
  [{ revision: [0, 5], not: true }],
  [{ revision: [5, 6] }, { revision: 6, not: true }],
  [
    { revision: 0, not: true },
    { revision: 6, not: true },
  ],
  [{ revision: 6, not: true }, { revision: 0, not: true }, { revision: [5, 6] }],
  [{ revision: 9 }, { revision: [5, 6], not: true }],
  [{ version: 1 }],
  [{ version: [0, 2] }],
  [{ value: bytes("old") }],
  [{ value: bytes("old"), not: true }, { revision: 5 }],
];

const large = new Uint8Array(70_000);
const clock = (): number => 1_000;

function checkOfK(form: Form): Check {
  return { key: "k", ...form };
}

for (const state of ["absent", "at 5", "at another revision"]) {
  for (const forms of FORMS) {
    test(`${JSON.stringify(forms)} of a key ${state} means the same for a large put`, async () => {
      const model = openModel({ revision: 4, clock });
      const own = openModel({ revision: 4, clock });
      const front = startServer({ store: own, host: "127.0.0.1", port: 0 });
      const remote = await openRemoteStore(front.url);
      for (const one of [model, own]) {
        if (state === "at another revision") await one.commit({ checks: [], then: [put("x")] });
        if (state !== "absent") await one.commit({ checks: [], then: [put("k", "old")] });
      }
      const checks = forms.map(checkOfK);
      const txn = { checks, then: [{ ...put("k", large), ttl: 5_000 }] };
      expect(await remote.commit(txn)).toEqual(await model.commit(txn));
      expect(await remote.get("k")).toEqual(model.get("k"));
      await remote.close();
      await front.stop();
    });
  }
}

const PLAIN = { "Content-Type": TEXT };

/** With which headers a put goes as a request of its own; `undefined`: it goes as a transaction. */
const HEADERS: [checks: Form[], headers: Record<string, string> | undefined][] = [
  [[], PLAIN],
  [[{ revision: 0 }], { ...PLAIN, "If-None-Match": "*" }],
  [[{ revision: 0, not: true }], { ...PLAIN, "If-Match": "*" }],
  [[{ revision: [5, 6] }], { ...PLAIN, "If-Match": '"5", "6"' }],
  [[{ revision: 5, not: true }], { ...PLAIN, "If-None-Match": '"5"' }],
  [
    [{ revision: 5 }, { revision: [6, 7], not: true }],
    { ...PLAIN, "If-Match": '"5"', "If-None-Match": '"6", "7"' },
  ],
  // One header cannot say "absent or at 5", nor two things, nor anything of versions and values.
  [[{ revision: [0, 5] }], undefined],
  [[{ revision: 5 }, { revision: 6 }], undefined],
  [[{ revision: 5 }, { revision: 0, not: true }], undefined],
  [[{ version: 5 }], undefined],
  [[{ value: bytes("x") }], undefined],
];

test("a large put goes as a request of its own wherever headers can say its conditions", () => {
  for (const [forms, headers] of HEADERS) {
    const checks = forms.map(checkOfK);
    expect([forms, largePutHeaders(put("k", large), checks)]).toEqual([forms, headers]);
    expect(largePutHeaders(put("k", large.subarray(0, 60_000)), checks)).toBeUndefined();
  }
  const other = [{ key: "other", revision: 5 }];
  expect(largePutHeaders(put("k", large), other)).toBeUndefined();
  for (const [ttl, text] of [
    [90_000, "90s"],
    ["keep", "keep"],
  ] as const) {
    const headers = { ...PLAIN, "KV-TTL": text };
    expect(largePutHeaders({ ...put("k", large), ttl }, [])).toEqual(headers);
  }
});

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
