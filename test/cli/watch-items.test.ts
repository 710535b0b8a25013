/** What a watch tells one by one, and how somebody slow gets only the newest of each key. */

import { describe, expect, test } from "bun:test";
import {
  everyItem,
  itemsOf,
  newestItems,
  untilChange,
  type WatchItem,
} from "../../src/cli/watch-items.ts";
import type { KvFrame } from "../../src/client/index.ts";
import { readable, readableEvent, type KvEvent } from "../../src/client/entries.ts";
import type { ListedEntry } from "../../src/kv.ts";

function entry(key: string, revision: number): ListedEntry {
  return { key, contentType: "text/plain", revision, createRevision: revision, version: 1 };
}

function put(key: string, revision: number, value?: Uint8Array): KvEvent {
  const shown = value === undefined ? undefined : { value };
  return readableEvent({ type: "put", ...entry(key, revision), ...shown });
}

function change(...events: KvEvent[]): KvFrame {
  return { type: "change", revision: events.at(-1)!.revision, events };
}

function shown(item: WatchItem): string {
  return `${item.type}${"key" in item ? ` ${item.key}` : ""} ${item.revision}`;
}

const reset: KvFrame = { type: "reset", revision: 9, store: "s" };
const sync: KvFrame = { type: "sync", revision: 9, store: "s" };

/** Parts that are given one by one; they are taken before `give` resolves, unless nobody has room. */
class Source implements AsyncIterable<KvFrame> {
  taken = 0;
  readonly #given: KvFrame[] = [];
  #changed = Promise.withResolvers<void>();
  #end: { error?: unknown } | undefined;

  async give(...parts: KvFrame[]): Promise<void> {
    this.#given.push(...parts);
    this.#wake();
    await new Promise(setImmediate);
  }

  end(error?: unknown): void {
    this.#end = { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<KvFrame> {
    for (;;) {
      const part = this.#given.shift();
      if (part !== undefined) {
        this.taken++;
        yield part;
      } else if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return;
      } else await this.#changed.promise;
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

async function all(items: AsyncIterable<WatchItem>): Promise<string[]> {
  return (await Array.fromAsync(items)).map(shown);
}

describe("one by one", () => {
  test("each entry and each event is an item, and the end of the state is one", () => {
    const there = entry("a", 1);
    const state = itemsOf({ type: "state", entries: [readable(there)] });
    expect(state).toEqual([{ type: "state", ...there }]);
    expect(itemsOf(change(put("a", 2), put("b", 2))).map(shown)).toEqual(["put a 2", "put b 2"]);
    expect(itemsOf(sync)).toEqual([sync as WatchItem]);
  });

  test("what was left out is told with the first event behind it", () => {
    const part = { ...change(put("a", 2), put("b", 3)), skipped: 7 } as KvFrame;
    expect(itemsOf(part).map(({ skipped }) => skipped)).toEqual([7, undefined]);
  });

  test("the first change is the last part, whatever stands before it", async () => {
    const source = new Source();
    void source.give(reset, sync, change(put("a", 10), put("b", 10)), change(put("a", 11)));
    expect(await all(everyItem(untilChange(source)))).toEqual([
      "reset 9",
      "sync 9",
      "put a 10",
      "put b 10",
    ]);
  });
});

describe("only the newest", () => {
  test("of each key, in the place in which the key began to wait", async () => {
    const source = new Source();
    const items = newestItems(source);
    await source.give(change(put("a", 1)));
    expect(shown((await items.next()).value!)).toBe("put a 1");
    await source.give(change(put("a", 2)), change(put("b", 3)), change(put("a", 4), put("c", 4)));
    await source.give(change(put("b", 5)));
    source.end();
    expect(await all(items)).toEqual(["put a 4", "put b 5", "put c 4"]);
  });

  test("a key that changes all the time keeps no other one waiting", async () => {
    const source = new Source();
    const items = newestItems(source);
    const turns = new Map<string, number>();
    await source.give(change(put("quiet", 1)));
    for (let round = 1; round <= 60; round++) {
      await source.give(change(put("a", 3 * round)), change(put("b", 3 * round + 1)));
      const { key } = (await items.next()).value as { key: string };
      turns.set(key, (turns.get(key) ?? 0) + 1);
    }
    expect(turns.get("quiet")).toBe(1);
    expect(turns.get("a")).toBeGreaterThan(25);
    expect(turns.get("b")).toBeGreaterThan(25);
  });

  test("a reset makes what waits worthless, and is told itself", async () => {
    const source = new Source();
    const items = newestItems(source);
    const first = items.next();
    await source.give(change(put("a", 1)));
    await source.give(change(put("a", 2)), sync, change(put("sync", 3)), reset);
    await source.give({ type: "state", entries: [] }, sync, change(put("b", 10)));
    source.end();
    expect(shown((await first).value!)).toBe("put a 1");
    expect(await all(items)).toEqual(["reset 9", "sync 9", "put b 10"]);
  });

  test("what ends the parts comes behind all that came before", async () => {
    const source = new Source();
    const items = newestItems(source);
    await source.give(change(put("a", 1)));
    source.end(new Error("compacted"));
    expect(shown((await items.next()).value!)).toBe("put a 1");
    expect(items.next()).rejects.toThrow("compacted");
  });

  test("more than it may hold is not taken before there is room", async () => {
    const source = new Source();
    const items = newestItems(source, 10_000);
    const first = items.next();
    const value = new Uint8Array(6_000);
    await source.give(...["a", "b", "c", "d"].map((key, at) => change(put(key, at + 1, value))));
    expect(shown((await first).value!)).toBe("put a 1");
    expect(source.taken).toBe(3);
    source.end();
    expect(await all(items)).toEqual(["put b 2", "put c 3", "put d 4"]);
  });

  test("a single key is always the newest, however large its value", async () => {
    const source = new Source();
    const items = newestItems(source, 10_000);
    const first = items.next();
    const value = new Uint8Array(20_000);
    await source.give(...Array.from({ length: 50 }, (_, at) => change(put("k", at + 1, value))));
    source.end();
    expect(shown((await first).value!)).toBe("put k 1");
    expect(await all(items)).toEqual(["put k 50"]);
  });
});
