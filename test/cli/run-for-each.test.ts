/** A command for each event: what it is told, that one runs at a time, and that none is asked for early. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EventCommand, variablesOf } from "../../src/cli/event-command.ts";
import { runForEach } from "../../src/cli/run-for-each.ts";
import type { Signals, Stop } from "../../src/cli/signals.ts";
import type { WatchItem } from "../../src/cli/watch-items.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const text = new TextEncoder();
const silent: Signals = { first: new Promise(() => {}), second: new Promise(() => {}) };

function put(key: string, revision: number, value: Uint8Array = text.encode(key)): WatchItem {
  const entry = { key, contentType: "text/plain", revision, createRevision: revision, version: 1 };
  return { type: "put", ...entry, value };
}

function valueOf(bytes: Uint8Array): string | undefined {
  return variablesOf(put("a", 1, bytes))["KV_EVENT_VALUE"];
}

async function* failing(): AsyncGenerator<WatchItem> {
  yield put("a", 1);
  throw new Error("compacted");
}

async function* inOrder(...items: WatchItem[]): AsyncGenerator<WatchItem> {
  yield* items;
}

/** Runs a line of shell for each item, in a directory of its own; answers what is in the file `out`. */
async function outOf(line: string, items: AsyncIterable<WatchItem>): Promise<string> {
  using temporary = temporaryDirectory();
  const out = join(temporary.path, "out");
  const command = new EventCommand(["sh", "-c", `exec >> "$0"; ${line}`, out]);
  expect(await runForEach(items, command, silent)).toBe(0);
  return readFileSync(out, "utf8");
}

describe("the command", () => {
  test("has the value on its stdin, byte for byte", async () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, at) => (at * 7) % 256);
    const hash = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    expect(await outOf("sha256sum", inOrder(put("a", 1, bytes)))).toBe(`${hash}  -\n`);
  });

  test("has an empty stdin where there is no value", async () => {
    const gone: WatchItem = { type: "delete", key: "a", revision: 2 };
    const { value: _, ...keyOnly } = put("b", 3) as { value?: Uint8Array } & WatchItem;
    const empty = put("c", 4, new Uint8Array(0));
    expect(await outOf("wc -c", inOrder(gone, keyOnly, empty))).toBe("0\n0\n0\n");
  });

  test("may leave a large value unread", async () => {
    const large = new Uint8Array(16 * 1024 * 1024);
    expect(await outOf("echo done", inOrder(put("a", 1, large), put("b", 2)))).toBe("done\ndone\n");
  });

  test("may open its stdin by name", async () => {
    expect(await outOf("cat /dev/stdin", inOrder(put("a", 1), put("b", 2)))).toBe("ab");
  });

  test("may leave something running behind", async () => {
    const began = performance.now();
    const line = "sleep 20 > /dev/null 2>&1 & echo $!";
    const out = await outOf(line, inOrder(put("a", 1), put("b", 2)));
    expect(performance.now() - began).toBeLessThan(15_000);
    for (const pid of out.trim().split("\n")) process.kill(Number(pid));
  });

  test("is told what happened in its environment, and nothing of another event", async () => {
    const line = `env | grep ^KV_EVENT_ | sort; echo --`;
    process.env["KV_EVENT_VALUE"] = "of an outer watch";
    const items = inOrder(put("a b", 1), { type: "expire", key: "a b", revision: 2 });
    expect(await outOf(line, items)).toBe(
      [
        "KV_EVENT_KEY=a b",
        "KV_EVENT_REVISION=1",
        "KV_EVENT_TYPE=put",
        "KV_EVENT_VALUE=a b",
        "--",
        "KV_EVENT_KEY=a b",
        "KV_EVENT_REVISION=2",
        "KV_EVENT_TYPE=expire",
        "--",
        "",
      ].join("\n"),
    );
    delete process.env["KV_EVENT_VALUE"];
  });
});

describe("the variables", () => {
  test("have a value only where it is short text", () => {
    expect(valueOf(text.encode("héllo\n"))).toBe("héllo\n");
    expect(valueOf(new Uint8Array(0))).toBe("");
    expect(valueOf(new Uint8Array(32 * 1024).fill(97))).toBe("a".repeat(32 * 1024));
    expect(valueOf(new Uint8Array(32 * 1024 + 1).fill(97))).toBe(undefined);
    expect(valueOf(Uint8Array.of(97, 0, 98))).toBe(undefined);
    expect(valueOf(Uint8Array.of(0xff))).toBe(undefined);
  });

  test("tell what was there before, where it was asked for", () => {
    const { type: _, ...before } = put("a", 1) as Extract<WatchItem, { type: "put" }>;
    expect(variablesOf({ type: "delete", key: "a", revision: 2, prev: before })).toEqual({
      KV_EVENT_TYPE: "delete",
      KV_EVENT_KEY: "a",
      KV_EVENT_REVISION: "2",
      KV_EVENT_PREV_REVISION: "1",
      KV_EVENT_PREV_VALUE: "a",
    });
  });

  test("of a reset have no key: it is about all of them", () => {
    expect(variablesOf({ type: "reset", revision: 7, store: "s" })).toEqual({
      KV_EVENT_TYPE: "reset",
      KV_EVENT_REVISION: "7",
    });
  });
});

describe("the runs", () => {
  test("come in order, one at a time, and not for the end of the state", async () => {
    const line = `echo "begin $KV_EVENT_TYPE $KV_EVENT_REVISION"; sleep 0.02; echo end`;
    const { type: _, ...entry } = put("a", 1) as Extract<WatchItem, { type: "put" }>;
    const out = await outOf(
      line,
      inOrder(
        { type: "reset", revision: 5, store: "s" },
        { type: "state", ...entry },
        { type: "sync", revision: 5, store: "s" },
        put("a", 6),
        { type: "delete", key: "a", revision: 7 },
      ),
    );
    expect(out.trim().split("\n")).toEqual(
      ["reset 5", "state 1", "put 6", "delete 7"].flatMap((what) => [`begin ${what}`, "end"]),
    );
  });

  test("hold up the watch: the next event is asked for when the command has ended", async () => {
    using temporary = temporaryDirectory();
    const out = join(temporary.path, "out");
    const seen: string[] = [];
    async function* items(): AsyncGenerator<WatchItem> {
      for (let revision = 1; revision <= 3; revision++) {
        yield put("a", revision);
        seen.push(readFileSync(out, "utf8"));
      }
    }
    const command = new EventCommand(["sh", "-c", `sleep 0.05; echo x >> "${out}"`]);
    await runForEach(items(), command, silent);
    expect(seen).toEqual(["x\n", "x\nx\n", "x\nx\nx\n"]);
  });

  test("end with what ended the events, after the last of them", async () => {
    expect(runForEach(failing(), new EventCommand(["true"]), silent)).rejects.toThrow("compacted");
  });

  test("are no more after a signal, and the one under way is waited for", async () => {
    using temporary = temporaryDirectory();
    const out = join(temporary.path, "out");
    const first = Promise.withResolvers<Stop>();
    async function* items(): AsyncGenerator<WatchItem> {
      yield put("a", 1);
      first.resolve("SIGTERM");
      yield put("a", 2);
      yield put("a", 3);
    }
    const line = `trap '' TERM; echo begin >> "${out}"; sleep 0.1; echo end >> "${out}"`;
    const command = new EventCommand(["sh", "-c", line]);
    expect(await runForEach(items(), command, { ...silent, first: first.promise })).toBe(143);
    const ran = readFileSync(out, "utf8");
    expect(ran).toMatch(/^(begin\nend\n){1,2}$/);
    await Bun.sleep(150);
    expect(readFileSync(out, "utf8")).toBe(ran);
  });
});
