/** JSON with far more values than any request has: counted as it is, and refused before it is parsed. */

import { expect, test } from "bun:test";
import { countValues, parseJson } from "../../src/http/json-text.ts";
import {
  BODY_PIECE_BYTES_MAX,
  JSON_GARBAGE_BYTES,
  JSON_VALUES_MAX,
  LIMITS,
} from "../../src/limits.ts";
import { randomSeed, withSeed, type Random } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";
import { openSocket } from "../support/socket-client.ts";
import { startTestServer } from "../support/test-server.ts";

const MANY = `[${"[],".repeat(JSON_VALUES_MAX)}1]`;

test("a text with too many values is refused over HTTP and WebSocket, and others go on", async () => {
  await using server = await startTestServer();
  const answer = await server.fetch("/v1/txn", { method: "POST", body: MANY });
  expect([answer.status, await answer.json()]).toMatchObject([
    413,
    { error: { code: "too_large", limit: JSON_VALUES_MAX } },
  ]);
  const socket = await openSocket(server.url);
  socket.send(MANY);
  const refusal = await socket.until(({ type }) => type === "error");
  expect(refusal).toMatchObject({ id: null, error: { code: "too_large", limit: JSON_VALUES_MAX } });
  expect(await socket.request({ op: "list" })).toMatchObject({ type: "result" });
  await socket.close();
  expect(server.errors).toEqual([]);
});

test("the largest transaction, with every field written out, is far below", () => {
  const operations = Array.from({ length: LIMITS.txnOperationsMax }, (_, at) => ({
    op: "put",
    key: `k${at},[{`,
    value: '"\\',
    contentType: "text/plain",
    ttl: "1h",
  }));
  const checks = Array.from({ length: LIMITS.txnChecksMax }, (_, at) => ({
    key: `k${at}`,
    value: "[,",
  }));
  const txn = { checks, then: operations, else: operations };
  expect(parseJson(JSON.stringify(txn))).toEqual(txn);
});

test("exactly as many values as allowed are taken", () => {
  const text = JSON.stringify(Array.from({ length: JSON_VALUES_MAX }, () => 1));
  expect(parseJson(text)).toHaveLength(JSON_VALUES_MAX);
  expect(() => parseJson(`[1,${text.slice(1)}`)).toThrow("more than");
});

test("the garbage of large texts is collected before it is more than the bound", () => {
  // Whatever was parsed before, this much is there now.
  parseJson(JSON.stringify("x".repeat(JSON_GARBAGE_BYTES - 2)));
  let collections = 0;
  const large = JSON.stringify("x".repeat(1024 ** 2 - 2));
  const count = JSON_GARBAGE_BYTES / large.length;
  for (let at = 0; at < 4 * count; at++) parseJson(large, () => collections++);
  expect(collections).toBe(4);
  const small = JSON.stringify("x".repeat(BODY_PIECE_BYTES_MAX - 2));
  for (let at = 0; at < 32 * count; at++) parseJson(small, () => collections++);
  expect(collections).toBe(4);
});

test("what stands within strings is not counted, however it is written", async () => {
  await withSeed(randomSeed(), (source) => {
    for (let round = 0; round < rounds(400); round++) {
      const text = JSON.stringify(randomValue(source, 4));
      const bare = text.replaceAll(/"(?:[^"\\]|\\.)*"/gs, "");
      const values = [...bare].filter((char) => "[{,".includes(char)).length;
      if (text.length > values + 1) expect(countValues(text, values)).toBe(values);
    }
  });
});

test.each([
  ["of one character", '"'],
  ["behind a backslash", '"\\'],
  ["in a list", '["a'],
  ["that is long", `"${"x".repeat(200)}`],
  ["whose only quote is escaped", `"${"x".repeat(200)}\\"`],
])("a string without an end, %s, is for the parser to refuse", (_, text) => {
  expect(countValues(text, 0)).toBeLessThanOrEqual(1);
  expect(() => parseJson(text)).toThrow(SyntaxError);
});

// --- internal ---

/** Strings of all lengths, with much that has to be escaped. */
function randomString(source: Random): string {
  const parts = Array.from({ length: source.below(5) }, () =>
    source.oneIn(2)
      ? source.pick(["\\", '"', "[", "{", ",", "é", "€", "\n"]).repeat(source.below(5))
      : "x".repeat(source.below(150)),
  );
  return parts.join("");
}

function randomValue(source: Random, depth: number): unknown {
  const items = Array.from({ length: source.below(4) }, () => source.below(4));
  if (depth === 0 || source.oneIn(3)) return randomString(source);
  if (source.oneIn(2)) return items.map(() => randomValue(source, depth - 1));
  return Object.fromEntries(
    items.map(() => [randomString(source), randomValue(source, depth - 1)]),
  );
}
