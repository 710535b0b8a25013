/** Which exit code each error of a server becomes. */

import { afterAll, expect, test } from "bun:test";
import { ERROR_CODES } from "../../src/errors.ts";
import { expectFailure, kv } from "./rig.ts";

const EXPECTED: Readonly<Record<(typeof ERROR_CODES)[number], number>> = {
  invalid_argument: 2,
  unauthenticated: 5,
  permission_denied: 5,
  not_found: 3,
  unknown_path: 1,
  method_not_allowed: 1,
  conflict: 4,
  compacted: 7,
  precondition_failed: 4,
  too_large: 8,
  unsupported: 1,
  too_many_requests: 6,
  unavailable: 6,
  outcome_unknown: 6,
  internal: 1,
  storage_full: 8,
};

/** Answers a get of a key with the error that the key names. */
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  development: false,
  fetch(request) {
    const code = new URL(request.url).pathname.split("/").at(-1);
    const body = { error: { code, message: `this is ${code}`, storeRevision: 1 } };
    return Response.json(body, { status: code === "not_found" ? 404 : 400 });
  },
});

afterAll(() => server.stop(true));

test.each(Object.entries(EXPECTED))("%s is exit code %i", async (code, exitCode) => {
  const message = code === "not_found" ? "not_found is absent" : `kv get: this is ${code}\n`;
  expectFailure(await kv(["get", code], { url: server.url.origin }), exitCode, message);
});

test("every code is in the table of this test", () => {
  expect(Object.keys(EXPECTED)).toEqual([...ERROR_CODES]);
});
