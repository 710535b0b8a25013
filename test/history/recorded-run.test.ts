/** Many clients against a real server: what they were answered is strictly serialisable. */

import { expect, test } from "bun:test";
import type { Store } from "../../src/kv.ts";
import { openLog } from "../../src/log/engine.ts";
import { openFaulty } from "../support/faulty-store.ts";
import { randomSeed, withSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { startTestServer } from "../support/test-server.ts";
import type { History } from "./history.ts";
import { recordedRun } from "./recorded-run.ts";
import { singleOf } from "./wire.ts";

test(
  "what clients are answered over HTTP and WebSocket is strictly serialisable",
  () =>
    withSeed(randomSeed(), async ({ seed }) => {
      const operations = rounds(4_000);
      const { history, violations } = await recordedRun({ seed, operations });
      expect(violations).toEqual([]);
      expect(kinds(history)).not.toContain("unknown");
      expect(history.operations.length).toBeGreaterThanOrEqual(operations);
    }),
  RANDOM_MS_MAX,
);

test(
  "it is when the server is killed in between, and what was answered is there afterwards",
  () =>
    withSeed(randomSeed(), async ({ seed }) => {
      const options = { seed, operations: rounds(1_500), kills: rounds(1) + 1 };
      const { history, violations } = await recordedRun(options);
      expect(violations).toEqual([]);
      expect(kinds(history)).toContain("unknown");
    }),
  RANDOM_MS_MAX,
);

test("only what a route has a form for is sent without a transaction", () => {
  const then = [{ op: "delete", key: "a" }] as const;
  const asked = { then, else: [{ op: "get", key: "a" }] } as const;
  expect(singleOf({ ...asked, checks: [{ key: "a", revision: 0 }] })).toBeDefined();
  expect(singleOf({ ...asked, checks: [{ key: "a", revision: [1, 2] }] })).toBeDefined();
  // Absent, or at a revision: no header says that.
  expect(singleOf({ ...asked, checks: [{ key: "a", revision: [1, 0] }] })).toBeUndefined();
});

test("a server that shows an old value now and then is found out", async () => {
  const old = new Map<string, Awaited<ReturnType<Store["get"]>>>();
  let reads = 0;
  const rules = await rulesBroken((store) => ({
    ...store,
    async get(key, options) {
      const [last, now] = [old.get(key), await store.get(key, options)];
      if (options?.revision !== undefined) return now;
      old.set(key, now);
      return ++reads % 20 === 0 && last !== undefined ? { ...last, revision: now.revision } : now;
    },
  }));
  expect(rules).toContain("wrong answer");
  expect(rules).toContain("not linearizable");
});

test("a server that forgets what it has answered is found out", async () => {
  let writes = 0;
  const rules = await rulesBroken((store) => ({
    ...store,
    async commit(txn) {
      const [first] = txn.then;
      const alone = txn.then.length === 1 && txn.checks.length === 0;
      if (!alone || first?.op !== "put" || ++writes % 20 > 0) return store.commit(txn);
      const { revision: before } = await store.status();
      const { key } = first;
      const revision = before + 1;
      const put = { op: "put", key, revision, createRevision: revision, version: 1 } as const;
      return { succeeded: true, revision, results: [put], failed: [] };
    },
  }));
  expect(rules).toContain("not linearizable");
  expect(rules.length).toBeGreaterThan(1);
});

// --- internal ---

/** How requests ended. */
function kinds({ operations }: History): string[] {
  return [...new Set(operations.map(({ answer }) => answer.kind))];
}

/** The rules that a server breaks over a store with a fault. */
async function rulesBroken(fault: (store: Store) => Store): Promise<string[]> {
  using directory = temporaryDirectory();
  const inner = await openLog({ directory: directory.path });
  await using running = await startTestServer({ store: fault(openFaulty(inner)) });
  const server = {
    port: running.port,
    up: Promise.resolve(),
    ends: [],
    restart: () => Promise.reject(new Error("it is no process of its own")),
  };
  const { violations } = await recordedRun({ seed: 1, operations: 1_500, server });
  return [...new Set(violations.map(({ rule }) => rule))];
}
