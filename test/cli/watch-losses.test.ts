/** watch over losses of the connection: nothing is missed or comes twice, and what is gone is said. */

import { describe, expect, test } from "bun:test";
import { SLOW_TEST_MS, type Running } from "./rig.ts";
import { watchRig } from "./watch-rig.ts";

const rig = watchRig();

/** The types of what was printed, with the key or else the revision. */
async function told(child: Running, count: number): Promise<string[]> {
  return (await child.jsonLines(count)).map(
    ({ type, key, revision }) => `${type} ${key ?? revision}`,
  );
}

/** Lets history pass a watch that has lost its connection, up to and with revision `compacted`. */
async function compactMeanwhile(child: Running, compacted: number): Promise<void> {
  await rig.killServer();
  await child.errorLines(1);
  await rig.elsewhere(async () => {
    await rig.delete("a");
    await rig.put("b", "2");
    await rig.compact(compacted);
  });
}

describe("every change", () => {
  test("comes once over a server that is killed and started again", async () => {
    const child = await rig.watch();
    await rig.put("k", "1");
    await child.jsonLines(1);
    for (const round of [2, 3]) {
      await rig.killServer();
      await child.errorLines(2 * round - 3);
      await rig.startServer();
      await rig.put("k", String(round));
      await child.jsonLines(round);
    }
    expect((await child.jsonLines(3)).map(({ value }) => value)).toEqual(["1", "2", "3"]);
    const lines = await child.errorLines(4);
    expect(lines).toHaveLength(4);
    for (const [index, line] of lines.entries()) {
      expect(line).toMatch(
        index % 2 === 0
          ? /^kv watch: connection lost, trying again: /
          : /^kv watch: connected again, no change was missed$/,
      );
    }
  });

  test(
    "comes also if the server is killed within the initial state",
    async () => {
      const keys = Array.from({ length: 400 }, (_, at) => `k${String(at).padStart(3, "0")}`);
      for (const key of keys) await rig.put(key, "x".repeat(60_000));
      const child = rig.start(["--initial", "--prefix", "k"]);
      await child.lines(1);
      await rig.killServer();
      await rig.startServer();
      await child.errorLines(2);
      await rig.put("k0000", "behind");
      const lines = await child.jsonLines(402);
      const entries = lines.slice(0, 400);
      expect(entries.map(({ type, key }) => `${type} ${key}`)).toEqual(
        keys.map((key) => `state ${key}`),
      );
      expect(lines.slice(400)).toMatchObject([{ type: "sync" }, { type: "put", key: "k0000" }]);
    },
    SLOW_TEST_MS,
  );
});

describe("history that is gone", () => {
  test("ends it with exit code 7, and the line says what would go on", async () => {
    await rig.put("a", "1");
    const child = await rig.watch("--from", "1");
    await child.jsonLines(1);
    await compactMeanwhile(child, 3);
    expect(await child.exited).toBe(7);
    const [lost, gone, ...others] = child.output.stderr.trimEnd().split("\n");
    expect(lost).toStartWith("kv watch: connection lost, trying again: ");
    expect(gone).toMatch(/^kv watch: .*compacted.*; with --initial it would go on/);
    expect(others).toEqual([]);
  });

  test("is no end with --initial: a reset, and what is there by then", async () => {
    await rig.put("a", "1");
    const child = await rig.watch("--from", "1", "--initial");
    expect(await told(child, 1)).toEqual(["put a"]);
    await compactMeanwhile(child, 3);
    expect(await told(child, 4)).toEqual(["put a", "reset 3", "state b", "sync 3"]);
    await rig.put("c", "3");
    expect((await told(child, 5)).at(-1)).toBe("put c");
    const again = (await child.errorLines(2))[1];
    expect(again).toBe("kv watch: connected again");
  });

  test("behind which nothing was missed is no loss", async () => {
    await rig.put("a", "1");
    const child = await rig.watch("--from", "1");
    await compactMeanwhile(child, 1);
    expect(await told(child, 3)).toEqual(["put a", "delete a", "put b"]);
  });
});

describe("another store in place of the server", () => {
  test("ends it with exit code 7, after all that came before", async () => {
    await rig.put("k", "1");
    await rig.put("k", "2");
    const child = await rig.watch("--from", "1");
    await child.jsonLines(2);
    await rig.killServer();
    await rig.startServer("other");
    expect(await child.exited).toBe(7);
    expect(child.output.stdout.trimEnd().split("\n")).toHaveLength(2);
    expect(child.output.stderr).toMatch(/^kv watch: connection lost, .*\nkv watch: .*store.*\n$/);
  });

  test("is a reset with --initial", async () => {
    await rig.put("k", "1");
    await rig.put("k", "2");
    const child = await rig.watch("--initial");
    const [, { store }] = (await child.jsonLines(2)) as [unknown, { store: string }];
    await rig.killServer();
    await rig.startServer("other");
    expect(await told(child, 4)).toEqual(["state k", "sync 2", "reset 0", "sync 0"]);
    const [reset] = (await child.jsonLines(3)).slice(-1);
    expect(reset).toMatchObject({ type: "reset", store: expect.not.stringMatching(store) });
    await rig.put("k", "1");
    expect((await told(child, 5)).at(-1)).toBe("put k");
  });
});
