/** Which exit code each error of a server becomes. */

import { afterAll, expect, test } from "bun:test";
import { COMMANDS } from "../../src/cli/commands.ts";
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

/**
 * Answers a get of a key with the error that the key names, and below `/CODE/all` any request with
 * that error.
 */
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  development: false,
  fetch(request) {
    const parts = new URL(request.url).pathname.split("/");
    const code = parts[2] === "all" ? parts[1] : parts.at(-1);
    const body = { error: { code, message: `this is ${code}`, storeRevision: 1 } };
    return Response.json(body, { status: code === "not_found" ? 404 : 400 });
  },
});

afterAll(() => server.stop(true));

test.each(Object.entries(EXPECTED))("%s is exit code %i", async (code, exitCode) => {
  const message = code === "not_found" ? "not_found is absent" : `kv get: this is ${code}\n`;
  expectFailure(await kv(["get", code], { url: server.url.origin }), exitCode, message);
});

/** What any request may be answered. */
const REFUSALS = ["invalid_argument", "permission_denied", "unavailable", "internal"] as const;

/** The errors that a command can meet, of a server or before anything is sent. */
const MET: Readonly<Record<string, readonly [string[], ...(typeof ERROR_CODES)[number][]]>> = {
  get: [["get", "k"], ...REFUSALS, "not_found", "compacted", "too_large"],
  put: [["put", "k", "v"], ...REFUSALS, "precondition_failed", "too_large", "storage_full"],
  del: [["del", "k"], ...REFUSALS, "not_found", "precondition_failed", "too_large", "storage_full"],
  ls: [["ls"], ...REFUSALS, "compacted", "too_large"],
  watch: [["watch"], ...REFUSALS, "compacted", "too_large"],
  wait: [
    ["wait", "k", "--revision", "1", "--timeout", "300ms"],
    ...REFUSALS,
    "not_found",
    "precondition_failed",
    "compacted",
    "too_large",
  ],
  incr: [["incr", "k"], ...REFUSALS, "conflict", "too_large", "storage_full"],
  touch: [
    ["touch", "k", "--ttl=1s", "--if-revision=1"],
    ...REFUSALS,
    "not_found",
    "precondition_failed",
    "too_large",
    "storage_full",
  ],
  history: [["history", "k"], ...REFUSALS, "not_found", "compacted", "too_large"],
  txn: [["txn", "-"], ...REFUSALS, "not_found", "conflict", "too_large", "storage_full"],
  compact: [["compact", "1"], ...REFUSALS, "compacted", "storage_full"],
  status: [["status"], ...REFUSALS],
};

test.each(Object.entries(MET))(
  "the help of kv %s has the exit codes it can end with",
  async (name, [argv, ...errors]) => {
    const met = new Set([0, 130]);
    for (const error of errors) {
      const ran = await kv(argv, { url: `${server.url.origin}/${error}/all`, input: "{}" });
      expect(ran.stderr).not.toBe("");
      met.add(ran.exitCode);
    }
    expect(await listed(name)).toEqual([...met].sort((a, b) => a - b));
  },
);

test.each(["serve", "health"])("kv %s is done, or fails in one way", async (name) => {
  expect(await listed(name)).toEqual([0, 1, 2, 130]);
});

const WRITING = new Set(["put", "del", "incr", "touch", "txn", "compact"]);
/** Those that write files where they run. */
const MAKING_FILES = new Set(["backup", "restore", "check"]);

test("only commands that write speak of a write in their exit codes", async () => {
  for (const name of Object.keys(COMMANDS)) {
    const { stdout } = await kv([name, "--help"]);
    const text = stdout.slice(stdout.indexOf("Exit codes:")).replaceAll(/\s+/g, " ");
    const writes = WRITING.has(name);
    expect([name, text.includes("a write may have been applied")]).toEqual([name, writes]);
    const fills = writes || MAKING_FILES.has(name);
    expect([name, text.includes("the disk is full")]).toEqual([name, fills]);
  }
});

test("every code is in the table of this test", () => {
  expect(Object.keys(EXPECTED)).toEqual([...ERROR_CODES]);
});

/** The exit codes in the help of a command. */
async function listed(name: string): Promise<number[]> {
  const { stdout } = await kv([name, "--help"]);
  const section = /^Exit codes:\n((?: {2}.*\n)+)/m.exec(stdout)![1]!;
  return [...section.matchAll(/^ {2}(\d+) /gm)].map(([, code]) => Number(code));
}
