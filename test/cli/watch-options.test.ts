/** What a watch is asked for: which keys, what was there, what was before, only the newest. */

import { describe, expect, test } from "bun:test";
import { expectFailure, kv, onTerminal, SLOW_TEST_MS, type Running } from "./rig.ts";
import { watchRig } from "./watch-rig.ts";

const rig = watchRig();

/** The types of what was printed, with the key or else the revision. */
async function told(child: Running, count: number): Promise<string[]> {
  return (await child.jsonLines(count)).map(
    ({ type, key, revision }) => `${type} ${key ?? revision}`,
  );
}

describe("which keys", () => {
  test("several keys and prefixes are watched together, and each event comes once", async () => {
    const child = await rig.watch("a", "b/1", "--prefix", "b/", "--prefix", "c", "a");
    for (const key of ["a", "aa", "b", "b/1", "b/2", "c", "cc", "d", "a"]) await rig.put(key, "x");
    expect(await told(child, 6)).toEqual([
      "put a",
      "put b/1",
      "put b/2",
      "put c",
      "put cc",
      "put a",
    ]);
  });

  test("a transaction on several of them is one frame", async () => {
    const child = await rig.watch("a", "--prefix", "b/", "-o", "frames");
    await rig.txn(put("b/1"), put("c"), put("a"));
    const [frame] = await child.jsonLines(1);
    expect(frame).toMatchObject({ revision: 1, events: [{ key: "b/1" }, { key: "a" }] });
  });

  test("--start and --end bound the keys", async () => {
    const child = await rig.watch("--start", "b", "--end", "d");
    for (const key of ["a", "b", "c", "d", "e"]) await rig.put(key, "x");
    expect(await told(child, 2)).toEqual(["put b", "put c"]);
    const open = await rig.watch("--start", "d");
    for (const key of ["a", "zz"]) await rig.put(key, "x");
    expect(await told(open, 1)).toEqual(["put zz"]);
  });

  test.each([
    [["a", "--start", "b"], "KEY and --start or --end exclude each other"],
    [["--prefix", "a", "--end", "b"], "--prefix and --start or --end exclude each other"],
    [["a", ""], "the key is empty"],
    [["a/../b"], "as a whole segment"],
    [["--from", "0"], "--from must be a whole number of at least 1"],
    [["--from", "now"], '--from must be a whole number of at least 1, not "now"'],
    [["--prefix"], "--prefix needs a value"],
  ])("%j is refused before anything is asked", async (argv, message) => {
    expectFailure(await kv(["watch", ...argv], { url: ":1" }), 2, message);
  });
});

describe("what was there", () => {
  test("--initial tells each key, then the end of the state, then changes", async () => {
    for (const key of ["b", "a", "c"]) await rig.put(key, `value of ${key}`);
    await rig.delete("c");
    const child = await rig.watch("--initial");
    await rig.put("a", "new");
    const [first, , sync, change] = await child.jsonLines(4);
    expect(await told(child, 4)).toEqual(["state a", "state b", "sync 4", "put a"]);
    expect(first).toEqual({
      type: "state",
      key: "a",
      value: "value of a",
      contentType: "text/plain; charset=utf-8",
      revision: 2,
      createRevision: 2,
      version: 1,
    });
    expect(sync).toEqual({ type: "sync", revision: 4, store: expect.stringMatching(/^\w+$/) });
    expect(change).toMatchObject({ value: "new", revision: 5 });
  });

  test("nothing is there: the state ends at once", async () => {
    const child = await rig.watch("nowhere", "--initial");
    expect(await told(child, 1)).toEqual(["sync 0"]);
  });

  test("-o frames has the state in parts, its end and the changes", async () => {
    await rig.put("a", "1");
    const child = await rig.watch("--initial", "-o", "frames");
    await rig.put("b", "2");
    expect(await child.jsonLines(3)).toMatchObject([
      { type: "state", entries: [{ key: "a", value: "1" }] },
      { type: "sync", revision: 1 },
      { type: "change", revision: 2, events: [{ type: "put", key: "b" }] },
    ]);
  });

  test("-o table tells the state apart by a word", async () => {
    await rig.put("a", "1");
    const child = await rig.watch("--initial", "-o", "table", "--prev");
    await rig.delete("a");
    expect(await child.lines(3)).toEqual([
      '1 state a "1"',
      "1 sync that is all that is there; changes follow",
      '2 delete a (was "1")',
    ]);
  });

  test("--from begins with history as long as it is kept, and with a reset else", async () => {
    for (const value of ["1", "2", "3"]) await rig.put("k", value);
    const whole = await rig.watch("--from", "2", "--initial");
    expect(await told(whole, 2)).toEqual(["put k", "put k"]);
    await rig.compact(2);
    const gone = await rig.watch("--from", "2", "--initial");
    expect(await told(gone, 3)).toEqual(["reset 3", "state k", "sync 3"]);
    await rig.put("k", "4");
    expect(await told(gone, 4)).toEqual(["reset 3", "state k", "sync 3", "put k"]);
    expect((await whole.jsonLines(3)).map(({ value }) => value)).toEqual(["2", "3", "4"]);
  });

  test("--from without --initial ends where history is gone, and says what to do", async () => {
    for (const value of ["1", "2", "3"]) await rig.put("k", value);
    await rig.compact(2);
    const ran = await rig.kv("watch", "--from", "2");
    expectFailure(ran, 7, /compacted.*\b3\b.*; with --initial it would go on with what is there$/m);
  });

  test("--once does not take the state for a change", async () => {
    await rig.put("a", "1");
    const child = await rig.watch("--initial", "--once");
    await child.jsonLines(2);
    await rig.txn({ op: "put", key: "a", value: "2" }, { op: "delete", key: "b" }, put("c"));
    expect(await child.exited).toBe(0);
    expect(await told(child, 4)).toEqual(["state a", "sync 1", "put a", "put c"]);
    expect(child.output.stdout.trimEnd().split("\n")).toHaveLength(4);
  });
});

describe("what of an event", () => {
  test("--prev adds what was there before", async () => {
    const child = await rig.watch("--prev");
    await rig.put("k", "1");
    await rig.put("k", "2");
    await rig.delete("k");
    const [created, replaced, deleted] = await child.jsonLines(3);
    expect(created).not.toHaveProperty("prev");
    expect(replaced).toMatchObject({ value: "2", prev: { key: "k", value: "1", revision: 1 } });
    expect(deleted).toMatchObject({ type: "delete", revision: 3, prev: { value: "2" } });
  });

  test("-o table shows it behind the change", async () => {
    const child = await rig.watch("--prev", "-o", "table");
    await rig.put("k", "1");
    await rig.put("k", "2");
    expect(await child.lines(2)).toEqual(['1 put k "1" (was absent)', '2 put k "2" (was "1")']);
  });

  test("--keys leaves the values out, of the state and of what was before too", async () => {
    await rig.put("k", "1");
    const child = await rig.watch("--keys", "--initial", "--prev");
    await rig.put("k", "2");
    const all = await child.jsonLines(3);
    expect(all).toMatchObject([{ type: "state" }, { type: "sync" }, { prev: { revision: 1 } }]);
    expect(JSON.stringify(all)).not.toContain('"value"');
    const table = await rig.watch("--keys", "--prev", "--from", "1", "-o", "table");
    expect(await table.lines(2)).toEqual(["1 put k (was absent)", "2 put k (was at 1)"]);
  });
});

describe("--latest", () => {
  test(
    "leaves out, for who is slow, what was replaced, and tells how much",
    async () => {
      const value = "x".repeat(100_000);
      await rig.put("k", "first");
      const child = rig.start(["k", "--latest", "--from", "1"], { unread: true });
      for (let round = 0; round < 300; round++) await rig.put("k", value);
      await rig.put("k", "last");
      child.read();
      let seen: Record<string, unknown>[] = [];
      while (seen.at(-1)?.["value"] !== "last") seen = await child.jsonLines(seen.length + 1);
      expect(seen.length).toBeLessThan(250);
      const left = seen.reduce((sum, { skipped = 0 }) => sum + (skipped as number), 0);
      expect(left + seen.length).toBe(302);
    },
    SLOW_TEST_MS,
  );
});

test("on a terminal each kind of line has its colour", async () => {
  await rig.put("a", "1");
  const argv = ["watch", "--initial", "--once", "-o", "table"];
  const terminal = onTerminal(argv, { url: rig.url });
  while (!(await rig.isWatched())) await Bun.sleep(5);
  await rig.delete("a");
  const { output } = await terminal;
  expect(output).toContain('\u001b[36mstate\u001b[39m a "1"\r\n');
  expect(output).toContain("\u001b[90msync\u001b[39m that is all");
  expect(output).toContain("\u001b[31mdelete\u001b[39m a\r\n");
});

function put(key: string): object {
  return { op: "put", key, value: "" };
}
