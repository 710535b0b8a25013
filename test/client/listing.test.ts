/** Listings over the wire: every range and every `after` gives what the store behind gives. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fc from "fast-check";
import { listPage } from "../../src/client/listing.ts";
import { openRemoteStore } from "../../src/client/remote-store.ts";
import { HttpTransport } from "../../src/client/http-transport.ts";
import { parseServerUrl } from "../../src/client/url.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import type { ListOptions, Range, Store } from "../../src/kv.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";
import { propertySeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { failure, put, write } from "../support/stores.ts";

let model: ModelStore;
let server: RunningServer;
let store: Store;

beforeAll(async () => {
  model = openModel({ revision: 3 });
  server = startServer({ store: model, host: "127.0.0.1", port: 0 });
  store = await openRemoteStore(server.url);
});

afterAll(async () => {
  await store.close();
  await server.stop();
});

/** Texts that lie close to each other, below, above and inside of one another. */
const text = fc
  .array(fc.constantFrom("a", "b", "/", "a/", "//", "\u{1F600}", "\uFFFF"), { maxLength: 4 })
  .map((parts) => parts.join(""));

const key = text.filter((text) => text !== "");

const range: fc.Arbitrary<Range> = fc.oneof(
  fc.constant({}),
  fc.record({ key }),
  fc.record({ prefix: text }),
  fc.record({ start: text, end: text }),
  fc.record({ start: text }),
  fc.record({ end: text }),
);

const options: fc.Arbitrary<ListOptions> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ count: true }) },
  {
    weight: 9,
    arbitrary: fc.record(
      {
        after: text,
        limit: fc.integer({ min: 1, max: 4 }),
        reverse: fc.boolean(),
        keys: fc.boolean(),
        delimiter: fc.constantFrom("/", "a", "b/", "\u{1F600}"),
      },
      { requiredKeys: [] },
    ),
  },
);

test(
  "a page of any range, behind anything, is the page of the store behind",
  async () => {
    const property = fc.asyncProperty(
      fc.array(key, { maxLength: 12 }),
      fc.array(fc.tuple(range, options), { minLength: 1, maxLength: 12 }),
      async (keys, listings) => {
        await write(model, { op: "deleteRange", range: {} }, ...keys.map((key) => put(key, key)));
        for (const [range, options] of listings) {
          expect(await store.list(range, options)).toEqual(model.list(range, options));
        }
      },
    );
    await fc.assert(property, { numRuns: rounds(60), ...propertySeed() });
  },
  RANDOM_MS_MAX,
);

test("a folder that begins below the range has its place in both directions", async () => {
  const keys = ["a/m", "a/n", "b", "b/1"];
  await write(model, { op: "deleteRange", range: {} }, ...keys.map((key) => put(key)));
  const range = { start: "a/m" };
  const behind = async (after: string, reverse: boolean, within: Range = range) => {
    const options = { after, reverse, delimiter: "/", keys: true };
    const { entries, folders } = await store.list(within, options);
    const right = model.list(within, options);
    expect([entries, folders]).toEqual([right.entries, right.folders]);
    return [...folders!, ...entries.map(({ key }) => key)];
  };
  // "a/" stands before "a/b", and both before the range.
  expect(await behind("a", false)).toEqual(["a/", "b/", "b"]);
  expect(await behind("a/", false)).toEqual(["b/", "b"]);
  expect(await behind("a/b", false)).toEqual(["b/", "b"]);
  expect(await behind("a/b", true)).toEqual(["a/"]);
  expect(await behind("a/", true)).toEqual([]);
  expect(await behind("a", true)).toEqual([]);
  expect(await behind("a/b", true, { start: "a/m", end: "a/c" })).toEqual([]);
});

test("a key of all the bytes that one may have is listed alone, whatever it ends with", async () => {
  for (const last of ["a", "\u007f", "\u07ff", "\uffff", "\u{10ffff}"]) {
    const bytes = Buffer.byteLength(last);
    const long = "x".repeat(1024 - bytes) + last;
    const near = ["x".repeat(1023), "x".repeat(1024 - bytes), "y", `${"x".repeat(1023)}~`];
    await write(model, ...[long, ...near].map((key) => put(key)));
    for (const reverse of [false, true]) {
      const { entries } = await store.list({ key: long }, { reverse });
      expect(entries.map(({ key }) => key)).toEqual([long]);
    }
    expect((await store.list({ key: long }, { count: true })).count).toBe(1);
    const all = "\u{10ffff}".repeat(256);
    expect((await store.list({ key: all })).entries).toEqual([]);
    await write(model, put(all));
    expect((await store.list({ key: all })).entries).toHaveLength(1);
    await write(model, { op: "delete", key: all });
  }
});

test("what no listing takes is refused before it could be sent as something else", async () => {
  const transport = new HttpTransport(parseServerUrl("http://127.0.0.1:9"));
  const refused: [Range, ListOptions][] = [
    [{}, { delimiter: "\ud800" }],
    [{}, { delimiter: "" }],
    [{}, { after: "\ud800" }],
    [{ prefix: "\ud800" }, {}],
    [{}, { limit: 0 }],
    [{}, { limit: 1.5 }],
    [{}, { count: true, limit: 5 }],
    [{}, { count: true, delimiter: "/" }],
  ];
  for (const [range, options] of refused) {
    await failure(() => listPage(transport, range, options), "invalid_argument");
  }
});
