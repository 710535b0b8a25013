/** Every combination of conditions on every single write, held against what the words say. */

import { expect, test } from "bun:test";
import type { JsonConditions } from "../../src/messages.ts";
import { openModel } from "../support/model-store.ts";
import { openSocket, type Received } from "../support/socket-client.ts";
import { startSocketServer } from "../support/socket-server.ts";
import { put, write } from "../support/stores.ts";

/** Of every key that is there. */
const REVISION = 1;
const OTHER = 9;
const REVISIONS = [undefined, 0, REVISION, [REVISION], OTHER, [0, OTHER], [REVISION, OTHER]];
const FLAGS = [undefined, false, true];
const WRITES = [
  { op: "put", value: "2" },
  { op: "incr" },
  { op: "touch", ttl: "1h" },
  { op: "delete" },
] as const;

interface Case {
  readonly key: string;
  readonly present: boolean;
  readonly op: (typeof WRITES)[number]["op"];
  readonly conditions: JsonConditions;
}

test("conditions mean what they say, alone and together", async () => {
  const cases = [...allCases()];
  expect(cases.length).toBe(3_528);
  const store = openModel();
  await write(store, ...cases.filter(({ present }) => present).map(({ key }) => put(key, "1")));
  await using server = startSocketServer(store);
  const client = await openSocket(server.url);
  for (const [id, { key, op, conditions }] of cases.entries()) {
    client.send({ id, key, ...WRITES.find((write) => write.op === op)!, ...conditions });
  }
  await client.until((message) => message["id"] === cases.length - 1);
  const outcomes = new Map(client.messages.map((message) => [message["id"], message]));
  for (const [id, item] of cases.entries()) {
    expect({ item, outcome: outcomeOf(outcomes.get(id)!) }).toEqual({
      item,
      outcome: expectedOutcome(item),
    });
  }
});

// --- internal ---

function* allCases(): Iterable<Case> {
  let count = 0;
  for (const present of [false, true]) {
    for (const { op } of WRITES) {
      for (const ifRevision of REVISIONS) {
        for (const ifNotRevision of REVISIONS) {
          for (const ifAbsent of FLAGS) {
            for (const ifPresent of FLAGS) {
              const all = { ifRevision, ifNotRevision, ifAbsent, ifPresent };
              const conditions = JSON.parse(JSON.stringify(all)) as JsonConditions;
              yield { key: `k${count++}`, present, op, conditions };
            }
          }
        }
      }
    }
  }
}

function outcomeOf({ type, error }: Received) {
  if (type === "result") return type;
  const { code, revision, storeRevision } = error as Record<string, unknown>;
  if (code === "invalid_argument") return code;
  expect(storeRevision).toBeNumber();
  return revision === undefined ? code : `${String(code)} at ${String(revision)}`;
}

function expectedOutcome({ present, op, conditions }: Case): string {
  const { ifRevision, ifNotRevision, ifAbsent, ifPresent } = conditions;
  const only = ifRevision === undefined ? undefined : [ifRevision].flat();
  const not = ifNotRevision === undefined ? undefined : [ifNotRevision].flat();
  const revised = only !== undefined || not !== undefined;
  if (ifAbsent && (ifPresent || revised)) return "invalid_argument";
  if (ifPresent && only !== undefined) return "invalid_argument";
  if (only !== undefined && not !== undefined && only.every((one) => not.includes(one))) {
    return "invalid_argument";
  }
  if (!present && (op === "touch" || op === "delete")) return "not_found";
  const current = present ? REVISION : 0;
  const holds =
    (only === undefined || only.includes(current)) &&
    (not === undefined || !not.includes(current)) &&
    (!ifAbsent || !present) &&
    (!ifPresent || present);
  return holds ? "result" : `precondition_failed at ${current}`;
}
