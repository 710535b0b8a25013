/** Bad input for each field of each request: refused by name, and nothing changes. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { LIMITS } from "../../src/limits.ts";
import { socketRequestSchema } from "../../src/messages.ts";
import type { ObjectSchema } from "../../src/schema.ts";
import { schemas } from "../../src/schemas.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";
import { startSocketServer, type SocketServer } from "../support/socket-server.ts";
import { put, write } from "../support/stores.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Every request in the shortest form that is one. */
const REQUESTS: Readonly<Record<string, Fields>> = {
  get: { key: "k" },
  put: { key: "k", value: "" },
  delete: { key: "k" },
  deleteRange: { key: "k" },
  incr: { key: "k" },
  touch: { key: "k", ttl: "1s" },
  list: {},
  history: { key: "k" },
  txn: {},
  compact: { revision: 1 },
  watch: {},
  unwatch: { watch: 1 },
};

/** What a field of each kind cannot be. */
const WRONG = {
  text: [null, 1, true, {}, [], ["k"]],
  integer: [null, "1", 1.5, -1, 2 ** 53, true, {}, []],
  boolean: [null, 0, "true", {}, []],
  numbers: [null, "1", 1.5, -1, true, {}, [], ["1"], [1, -1], [null], [[1]]],
  list: [null, "k", 1, {}, [null], ["k"], [[]]],
  texts: [null, 1, true, {}, [], [1], [null], [["k"]]],
};

const KINDS: Readonly<Record<string, keyof typeof WRONG>> = {
  ...named("text", "key prefix start end value base64 contentType ttl by cursor delimiter"),
  ...named("integer", "revision limit before from watch"),
  ...named("boolean", "keys reverse count all ifAbsent ifPresent not initial prev latest"),
  ...named("numbers", "ifRevision ifNotRevision version"),
  ...named("list", "checks then else"),
};

let store: ModelStore;
let server: SocketServer;
let client: SocketClient;

beforeAll(async () => {
  store = openModel();
  await write(store, put("k", "1"));
  server = startSocketServer(store);
  client = await openSocket(server.url);
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

/** Expects a refusal, and the store to be as it was; answers the message. */
async function refused(request: Fields, code = "invalid_argument"): Promise<string> {
  const answer = await client.request(request);
  const shown = JSON.stringify(request).slice(0, 200);
  expect({ shown, ...answer }).toMatchObject({ shown, type: "error", error: { code } });
  expect(store.status()).toMatchObject({ revision: 1, oldest: 0 });
  expect(server.hub.watchers).toBe(0);
  return (answer["error"] as { message: string }).message;
}

test("every request and every field is tried here", () => {
  const branches = socketRequestSchema.oneOf as readonly ObjectSchema[];
  expect(branches.map(opOf)).toEqual(Object.keys(REQUESTS));
  const nested = [schemas.check, ...(schemas.operation.oneOf as readonly ObjectSchema[])];
  for (const { properties } of [...branches, ...nested]) {
    for (const field of Object.keys(properties)) {
      expect(field === "id" || field === "op" || field in KINDS || field).toBe(true);
    }
  }
});

describe.each(socketRequestSchema.oneOf as ObjectSchema[])("$properties.op.enum.0", (branch) => {
  const op = opOf(branch);
  const request = { op, ...REQUESTS[op] };

  test("refuses a field of another type, and names it", async () => {
    for (const [field, kind] of fieldsOf(branch)) {
      for (const wrong of WRONG[kind]) {
        expect(await refused({ ...request, [field]: wrong })).toContain(field);
      }
    }
  });

  test("refuses to go without what it needs", async () => {
    for (const field of branch.required ?? []) {
      if (field === "id" || field === "op") continue;
      const { [field]: _, ...rest } = request as Record<string, unknown>;
      expect(await refused(rest)).toBe(`the request lacks the field "${field}"`);
    }
  });

  test("refuses what it does not know", async () => {
    const unknown = [...Object.keys(KINDS), "__proto__", "constructor", "toString", "keyz", ""];
    for (const field of unknown) {
      if (Object.hasOwn(branch.properties, field)) continue;
      const text = `${JSON.stringify(request).slice(0, -1)},${JSON.stringify(field)}:1}`;
      const fields = JSON.parse(text) as Record<string, unknown>;
      expect(await refused(fields)).toContain(`unknown field "${field}"`);
    }
  });
});

describe("in a transaction", () => {
  test("each field of a check is refused by its place", async () => {
    for (const [field, kind] of fieldsOf(schemas.check)) {
      // A check takes lists of revisions.
      for (const wrong of WRONG[field === "revision" ? "numbers" : kind]) {
        const checks = [
          { key: "k", version: 1 },
          { key: "k", [field]: wrong },
        ];
        expect(await refused({ op: "txn", checks })).toContain(`checks[1].${field}`);
      }
    }
  });

  test("each field of each operation is refused by its place", async () => {
    for (const branch of schemas.operation.oneOf as readonly ObjectSchema[]) {
      const op = opOf(branch);
      const operation = { op, ...REQUESTS[op] };
      for (const [field, kind] of fieldsOf(branch)) {
        for (const wrong of WRONG[kind]) {
          const list = [
            { op: "get", key: "k" },
            { ...operation, [field]: wrong },
          ];
          expect(await refused({ op: "txn", then: list })).toContain(`then[1].${field}`);
          expect(await refused({ op: "txn", else: list })).toContain(`else[1].${field}`);
        }
      }
    }
  });

  test("what only the whole can tell is refused by its place", async () => {
    const cases: [request: Fields, message: RegExp][] = [
      [{ checks: [{ key: "k" }] }, /checks\[0\] needs exactly one of/],
      [{ checks: [{ key: "k", revision: 1, version: 1 }] }, /checks\[0\] needs exactly one of/],
      [{ checks: [{ key: "k", version: 1, value: "" }] }, /checks\[0\] needs exactly one of/],
      [{ checks: [{ key: "k", value: "", base64: "" }] }, /checks\[0\] needs exactly one of/],
      [{ checks: [{ key: "k", base64: "!" }] }, /checks\[0\]\.base64 is not/],
      [{ checks: [{ key: ".", version: 1 }] }, /checks\[0\]\.key/],
      [{ then: [{ op: "put", key: "k" }] }, /then\[0\] needs exactly one of/],
      [{ then: [{ op: "put", key: "k", value: "", ttl: "1" }] }, /then\[0\]\.ttl/],
      [{ then: [{ op: "touch", key: "k", ttl: "never" }] }, /then\[0\]\.ttl/],
      [{ then: [{ op: "incr", key: "k", by: "1.5" }] }, /then\[0\]\.by/],
      [{ then: [{ op: "incr", key: "k", ttl: "keep" }] }, /then\[0\]\.ttl/],
      [{ else: [{ op: "deleteRange" }] }, /else\[0\]: the range is every key/],
      [{ else: [{ op: "list", key: "k", prefix: "k" }] }, /else\[0\]: "key" and "prefix"/],
      [{ else: [{ op: "list", count: true, limit: 1 }] }, /count and limit/],
      [{ else: [{ op: "watch" }] }, /else\[0\].*unknown op "watch"/],
    ];
    for (const [request, message] of cases) {
      expect(await refused({ op: "txn", ...request })).toMatch(message);
    }
  });
});

describe("what has the right type and is still wrong", () => {
  const long = "ä".repeat(LIMITS.keyBytesMax / 2 + 1);

  test.each(Object.entries(REQUESTS).filter(([, { key }]) => key !== undefined))(
    "a key of %s",
    async (op, fields) => {
      expect(await refused({ op, ...fields, key: "" })).toContain("empty");
      expect(await refused({ op, ...fields, key: "a/../b" })).toContain('"."');
      expect(await refused({ op, ...fields, key: "\ud800" })).toContain("surrogate");
      expect(await refused({ op, ...fields, key: long }, "too_large")).toContain("1026");
    },
  );

  test("a time to live", async () => {
    for (const ttl of ["", "30", "0s", "01s", "-1s", "1.5s", "1w", "1 s", "3651d", "∞", "Keep"]) {
      for (const op of ["put", "incr", "touch"]) {
        expect(await refused({ op, ...REQUESTS[op], ttl })).toContain("ttl");
      }
    }
    expect(await refused({ op: "put", key: "k", value: "", ttl: "none" })).toContain("or keep");
    for (const ttl of ["keep", "none"]) {
      expect(await refused({ op: "incr", key: "k", ttl })).toContain("ttl");
    }
    expect(await refused({ op: "touch", key: "k", ttl: "never" })).toContain("or none");
  });

  test("an increment", async () => {
    for (const by of ["", "+1", "01", "-0", "1.0", "1e3", "9223372036854775808", "٣"]) {
      expect(await refused({ op: "incr", key: "k", by })).toContain("by");
    }
  });

  test("a value", async () => {
    const put = { op: "put", key: "k" };
    expect(await refused(put)).toContain("exactly one");
    expect(await refused({ ...put, value: "", base64: "" })).toContain("exactly one");
    for (const base64 of ["!", "YQ", "YQ=", "YQ===", "YR==", "YQ==\n", "_w=="]) {
      expect(await refused({ ...put, base64 })).toContain("base64");
    }
    for (const contentType of ["", " a", "ä", "a\n"]) {
      expect(await refused({ ...put, value: "", contentType })).toContain("contentType");
    }
    const type = "x".repeat(LIMITS.contentTypeCharsMax + 1);
    await refused({ ...put, value: "", contentType: type }, "too_large");
  });

  test("a range", async () => {
    for (const op of ["list", "deleteRange", "watch"]) {
      expect(await refused({ op, prefix: "a", start: "a" })).toContain("give one of them");
      expect(await refused({ op, prefix: "a", end: "b" })).toContain("give one of them");
      await refused({ op, prefix: long }, "too_large");
      await refused({ op, start: long }, "too_large");
      await refused({ op, end: long }, "too_large");
      expect(await refused({ op, end: "\udfff" })).toContain("surrogate");
    }
    for (const op of ["deleteRange", "watch"]) {
      expect(await refused({ op, key: "k", start: "k" })).toContain("give one of them");
    }
    expect(await refused({ op: "deleteRange", key: "k", prefix: "k" })).toContain("one of them");
    expect(await refused({ op: "watch", key: ["a", "b"], end: "k" })).toContain("do not go with");
  });

  test("keys and prefixes of a watch", async () => {
    const many = Array.from({ length: 1_001 }, (_, at) => `k${at}`);
    for (const field of ["key", "prefix"]) {
      expect(await refused({ op: "watch", [field]: [] })).toContain(`${field} has 0 items`);
      await refused({ op: "watch", [field]: many }, "too_large");
      await refused({ op: "watch", [field]: ["a", long] }, "too_large");
    }
    await refused({ op: "watch", key: many.slice(1), prefix: "p" }, "too_large");
    expect(await refused({ op: "watch", key: ["a", ""] })).toContain("empty");
    expect(await refused({ op: "watch", key: ["a", "a/../b"] })).toContain('"."');
  });

  test("a number", async () => {
    const most = LIMITS.pageEntriesMax + 1;
    for (const op of ["list", "history", "deleteRange"]) {
      const request = { op, ...REQUESTS[op] };
      expect(await refused({ ...request, limit: 0 })).toContain("smallest allowed is 1");
      expect(await refused({ ...request, limit: most })).toContain("largest allowed is 10000");
    }
    expect(await refused({ op: "watch", from: 0 })).toContain("smallest allowed is 1");
    expect(await refused({ op: "get", key: "k", revision: 2 })).toContain("at revision 1");
    expect(await refused({ op: "list", revision: 2 })).toContain("at revision 1");
    expect(await refused({ op: "compact", revision: 2 })).toContain("at revision 1");
    expect(await refused({ op: "watch", from: 3 })).toContain("at revision 1");
    await refused({ op: "history", key: "k", before: 0 }, "compacted");
    const many = Array.from({ length: 1_001 }, (_, at) => at);
    for (const field of ["ifRevision", "ifNotRevision"]) {
      await refused({ op: "delete", key: "k", [field]: many }, "too_large");
    }
  });

  test("a cursor and a delimiter", async () => {
    expect(await refused({ op: "list", cursor: "" })).toContain("cursor");
    expect(await refused({ op: "list", cursor: "x" })).toContain("cursor");
    expect(await refused({ op: "list", delimiter: "" })).toContain("delimiter");
    await refused({ op: "list", delimiter: long }, "too_large");
  });

  test("a transaction that is too long", async () => {
    const get = { op: "get", key: "k" };
    const check = { key: "k", version: 1 };
    const then = Array.from({ length: LIMITS.txnOperationsMax + 1 }, () => get);
    const checks = Array.from({ length: LIMITS.txnChecksMax + 1 }, () => check);
    for (const list of [{ then }, { else: then }, { checks }]) {
      expect(await refused({ op: "txn", ...list }, "too_large")).toContain("10000");
    }
  });
});

// --- internal ---

function named<K>(kind: K, fields: string): Record<string, K> {
  return Object.fromEntries(fields.split(" ").map((field) => [field, kind]));
}

function opOf({ properties }: ObjectSchema): string {
  return (properties["op"] as { enum: readonly string[] }).enum[0]!;
}

function fieldsOf({ properties }: ObjectSchema): [field: string, kind: keyof typeof WRONG][] {
  const fields = Object.keys(properties).filter((field) => field !== "id" && field !== "op");
  return fields.map((field) => {
    // A watch takes lists of them.
    const isTexts = "anyOf" in properties[field]! && KINDS[field] === "text";
    return [field, isTexts ? "texts" : KINDS[field]!];
  });
}
