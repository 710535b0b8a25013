/** watch: what it prints of changes, and how it ends. */

import { describe, expect, test } from "bun:test";
import { expectFailure, shell } from "./rig.ts";
import { watchRig } from "./watch-rig.ts";

const rig = watchRig();

describe("output", () => {
  test("piped, each event is a JSON object with its revision", async () => {
    const child = await rig.watch();
    await rig.put("a", "1");
    await rig.delete("a");
    expect(await child.jsonLines(2)).toEqual([
      {
        type: "put",
        key: "a",
        value: "1",
        contentType: "text/plain; charset=utf-8",
        revision: 1,
        createRevision: 1,
        version: 1,
      },
      { type: "delete", key: "a", revision: 2 },
    ]);
  });

  test("a key or a prefix chooses events, and one begins like the other ends", async () => {
    const one = await rig.watch("a");
    const folder = await rig.watch("--prefix", "a/");
    for (const key of ["b", "a", "a/1", "ab", "a/2", "a"]) await rig.put(key, "x");
    expect((await one.jsonLines(2)).map(({ key, revision }) => [key, revision])).toEqual([
      ["a", 2],
      ["a", 6],
    ]);
    expect((await folder.jsonLines(2)).map(({ key }) => key)).toEqual(["a/1", "a/2"]);
  });

  test("--from begins in the past and goes on with the present", async () => {
    for (const value of ["1", "2", "3"]) await rig.put("k", value);
    const child = await rig.watch("--from", "2");
    await rig.put("k", "4");
    expect((await child.jsonLines(3)).map(({ value }) => value)).toEqual(["2", "3", "4"]);
  });

  test("--from above the next revision is refused, as it may be a typo", async () => {
    expectFailure(await rig.kv("watch", "--from", "99"), 2, "99");
  });

  test("-o frames has all events of a revision in one line", async () => {
    const child = await rig.watch("-o", "frames");
    await rig.txn({ op: "put", key: "a", value: "1" }, { op: "put", key: "b", value: "2" });
    const [frame] = await child.jsonLines(1);
    expect(frame).toMatchObject({
      type: "change",
      revision: 1,
      events: [{ key: "a" }, { key: "b" }],
    });
  });

  test("-o table is a line a change, with what a terminal would act on escaped", async () => {
    const child = await rig.watch("-o", "table");
    await rig.put("a b", "one\u001b[31m\n");
    await rig.put("long", "x".repeat(500));
    await rig.put("bytes", Uint8Array.of(255, 0));
    await rig.delete("long");
    expect(await child.lines(4)).toEqual([
      String.raw`1 put "a b" "one\u001b[31m\n"`,
      `2 put long "${"x".repeat(100)}…"`,
      "3 put bytes (2 bytes, application/octet-stream)",
      "4 delete long",
    ]);
  });

  test("--once ends after the first change, with all of its events", async () => {
    const child = await rig.watch("k", "--once");
    await rig.put("other", "x");
    await rig.put("k", "first");
    await rig.put("k", "second");
    expect(await child.exited).toBe(0);
    expect(child.output.stdout.trimEnd().split("\n")).toHaveLength(1);
    expect(JSON.parse(child.output.stdout)).toMatchObject({ key: "k", value: "first" });
  });
});

describe("the end", () => {
  test("comes when all is printed, however slowly it is read", async () => {
    await rig.put("big", "x".repeat(3_000_000));
    const child = rig.start(["--from", "1", "--once"], { unread: true });
    await Bun.sleep(300);
    child.read();
    const [event] = await child.jsonLines(1);
    expect(event!["value"]).toHaveLength(3_000_000);
    expect(await child.exited).toBe(0);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends it quietly with exit code %i", async (signal, code) => {
    const child = await rig.watch();
    expect(await child.kill(signal)).toBe(code);
    // By itself: in a container it may be the first process, which no signal ends by default.
    expect(child.endedBy()).toBe(null);
    expect(child.output).toEqual({ stdout: "", stderr: "" });
  });

  test("Ctrl-C ends it also while nobody reads its output", async () => {
    const child = rig.start(["--from", "1"], { unread: true });
    await rig.put("big", new Uint8Array(1_000_000));
    await Bun.sleep(200);
    expect(await child.kill("SIGINT")).toBe(130);
  });

  test("a closed pipe ends it quietly, at the next event", async () => {
    await rig.put("k", "1");
    await rig.put("k", "2");
    const ran = await shell("kv watch --from 1 | head -1; echo ${PIPESTATUS[0]}", {
      url: rig.url,
    });
    const [event, code] = ran.stdout.trimEnd().split("\n");
    expect(JSON.parse(event!)).toMatchObject({ value: "1" });
    expect(code).toBe("0");
    expect(ran.stderr).toBe("");
  });

  test("a closed pipe ends it quietly also when no further event comes", async () => {
    await rig.put("k", "1");
    const ran = await shell("kv watch --from 1 | head -1; echo ${PIPESTATUS[0]}", {
      url: rig.url,
    });
    expect(ran.stdout).toMatch(/^\{.*\}\n0\n$/);
    expect(ran.stderr).toBe("");
  });
});
