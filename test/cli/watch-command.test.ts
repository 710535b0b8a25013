/** watch -- CMD: the command runs for each event, whatever becomes of it, of kv and of the server. */

import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expectFailure, kv, openTerminal, shell, type Running } from "./rig.ts";
import { watchRig } from "./watch-rig.ts";

const rig = watchRig();
const TELL = 'echo "$KV_EVENT_TYPE $KV_EVENT_KEY $KV_EVENT_REVISION $(cat)"';

/** A watch that runs a line of shell for each event. */
function follow(line: string, ...argv: string[]): Promise<Running> {
  return rig.watch(...argv, "--", "sh", "-c", line);
}

/** Waits for a file in the directory of the test. */
async function untilThere(name: string): Promise<void> {
  while (!existsSync(join(rig.directory, name))) await Bun.sleep(5);
}

describe("each event", () => {
  test("is one run, in order, with the value on stdin and the rest in variables", async () => {
    const child = await follow(TELL);
    await rig.put("a b", "one");
    await rig.put("bytes", Uint8Array.of(104, 105));
    await rig.txn(
      { op: "put", key: "c", value: "two" },
      { op: "delete", key: "a b" },
      { op: "put", key: "d", value: "", ttl: "20ms" },
    );
    expect(await child.lines(6)).toEqual([
      "put a b 1 one",
      "put bytes 2 hi",
      "put c 3 two",
      "delete a b 3 ",
      "put d 3 ",
      "expire d 4 ",
    ]);
    expect(child.output.stderr).toBe("");
  });

  test("of what is there is a run too, but the end of it is none", async () => {
    await rig.put("a", "1");
    await rig.put("b", "2");
    const child = await follow(TELL, "--initial");
    await rig.put("a", "3");
    expect(await child.lines(3)).toEqual(["state a 1 1", "state b 2 2", "put a 3 3"]);
  });

  test("behind a history that is gone begins with a reset, which has no key", async () => {
    for (const value of ["1", "2", "3"]) await rig.put("a", value);
    await rig.compact(3);
    const line = `${TELL}; echo "key: \${KV_EVENT_KEY-none}"`;
    const child = await follow(line, "--initial", "--from", "2");
    expect(await child.lines(4)).toEqual(["reset  3 ", "key: none", "state a 3 3", "key: a"]);
  });

  test("has with --prev what was there before", async () => {
    const child = await follow('echo "$KV_EVENT_PREV_REVISION $KV_EVENT_PREV_VALUE"', "--prev");
    await rig.put("a", "1");
    await rig.put("a", "2");
    expect(await child.lines(2)).toEqual([" ", "1 1"]);
  });

  test("of a slow command comes all the same, none of them twice", async () => {
    const child = await follow('sleep 0.01; echo "$KV_EVENT_REVISION"', "--from", "1");
    for (let round = 0; round < 40; round++) await rig.put("k", String(round));
    expect(await child.lines(40)).toEqual(Array.from({ length: 40 }, (_, at) => String(at + 1)));
  });

  test("comes once also if the server is killed while the command runs", async () => {
    const line = 'echo "$KV_EVENT_REVISION"; touch began; until [ -e go ]; do sleep 0.01; done';
    const child = await follow(line);
    await rig.put("k", "1");
    await rig.put("k", "2");
    await untilThere("began");
    await rig.killServer();
    await child.errorLines(1);
    await rig.startServer();
    await rig.put("k", "3");
    await child.errorLines(2);
    writeFileSync(join(rig.directory, "go"), "");
    expect(await child.lines(3)).toEqual(["1", "2", "3"]);
  });

  test("that was replaced before its turn is left out with --latest", async () => {
    const line =
      'echo "$KV_EVENT_KEY $KV_EVENT_VALUE"; touch "began $KV_EVENT_VALUE"; ' +
      'until [ -e "go $KV_EVENT_VALUE" ] || [ -e go ]; do sleep 0.01; done';
    const child = await follow(line, "--latest");
    await rig.put("a", "first");
    await untilThere("began first");
    for (let round = 0; round < 50; round++) {
      await rig.put("a", String(round));
      await rig.put("b", String(round));
    }
    // All of them are on the way to kv, or there.
    await Bun.sleep(200);
    writeFileSync(join(rig.directory, "go first"), "");
    await untilThere("began 49");
    await rig.put("b", "last");
    await rig.put("c", "");
    await Bun.sleep(200);
    writeFileSync(join(rig.directory, "go"), "");
    expect(await child.lines(4)).toEqual(["a first", "a 49", "b last", "c "]);
  });
});

describe("a command that fails", () => {
  test("is said on stderr with the event, and the next one has its turn", async () => {
    const child = await follow('echo "$KV_EVENT_REVISION"; [ "$(cat)" != bad ]');
    for (const value of ["good", "bad", "good"]) await rig.put("a b", value);
    expect(await child.lines(3)).toEqual(["1", "2", "3"]);
    expect(await child.errorLines(1)).toEqual([
      'kv watch: the command failed with exit code 1 (put "a b" at revision 2)',
    ]);
    expect(await child.kill("SIGINT")).toBe(130);
    expect(child.output.stderr.split("\n")).toHaveLength(2);
  });

  test("is said by its signal, where one ended it", async () => {
    const child = await follow("kill -KILL $$");
    await rig.put("a", "1");
    await rig.delete("a");
    expect(await child.errorLines(2)).toEqual([
      "kv watch: the command was ended by SIGKILL (put a at revision 1)",
      "kv watch: the command was ended by SIGKILL (delete a at revision 2)",
    ]);
  });

  test("to start is said with the reason", async () => {
    const path = join(rig.directory, "script");
    writeFileSync(path, "echo no first line\n");
    chmodSync(path, 0o755);
    const child = await rig.watch("--", "./script");
    await rig.put("a", "1");
    const [line] = await child.errorLines(1);
    expect(line).toMatch(/could not be started: it is neither .* #! \(put a at revision 1\)$/);
    rmSync(path);
    await rig.put("a", "2");
    expect((await child.errorLines(2))[1]).toContain("there is no such file");
  });

  test("is not run for a key that no variable can hold", async () => {
    const child = await follow(TELL);
    await rig.put("a\0b", "1");
    await rig.put("c", "2");
    expect(await child.lines(1)).toEqual(["put c 2 2"]);
    expect(await child.errorLines(1)).toEqual([
      String.raw`kv watch: the command was not run, because no variable can hold a key with a NUL character (put "a\u0000b" at revision 1)`,
    ]);
  });
});

describe("--once", () => {
  const txn = [1, 2, 3].map((code) => ({ op: "put", key: `k${code}`, value: String(code) }));

  test("ends with 0 after all events of the first change", async () => {
    const child = await follow(TELL, "--once");
    await rig.txn(...txn);
    await rig.put("k4", "4");
    expect(await child.exited).toBe(0);
    expect(child.output.stdout).toBe("put k1 1 1\nput k2 1 2\nput k3 1 3\n");
  });

  test("ends with the exit code of the first run that failed, when all have run", async () => {
    const child = await follow(
      `${TELL}; case $KV_EVENT_VALUE in 1) ;; *) exit 4$KV_EVENT_VALUE;; esac`,
      "--once",
    );
    await rig.txn(...txn);
    expect(await child.exited).toBe(42);
    expect(child.output.stdout.split("\n")).toHaveLength(4);
    expect(child.output.stderr).toMatch(/^kv watch: .* exit code 42 .*\nkv watch: .* 43 .*\n$/);
  });

  test("ends as a shell would report a signal", async () => {
    const child = await follow("kill -TERM $$", "--once");
    await rig.put("a", "1");
    expect(await child.exited).toBe(143);
  });
});

describe("what is wrong from the beginning", () => {
  test.each([
    [["--", "no-such-command"], "there is no command no-such-command that could be run"],
    [["--", "./nowhere"], "there is no command ./nowhere that could be run"],
    [["--", "/dev/null"], "there is no command /dev/null that could be run"],
    [["--", ""], 'there is no command "" that could be run'],
    [["--"], "the command to run behind -- is missing"],
    [["-o", "json", "--", "true"], "-o and a command exclude each other"],
    [["-k", "--", "true"], 'unknown flag "-k"'],
  ])("%j is refused before anything is asked", async (argv, message) => {
    expectFailure(await kv(["watch", ...argv], { url: ":1" }), 2, message);
  });

  test("no server is exit code 6", async () => {
    const ran = await kv(["watch", "--", "true"], { url: ":1" });
    expectFailure(ran, 6, "no server listens");
  });

  test("history that is gone is exit code 7", async () => {
    await rig.put("k", "1");
    await rig.put("k", "2");
    await rig.compact(2);
    expectFailure(await rig.kv("watch", "--from", "1", "--", "true"), 7, "compacted");
  });
});

describe("the end", () => {
  const SLOW = `trap 'echo told; exit 3' INT TERM; touch began; while :; do sleep 0.02; done`;

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s goes to the command too, whose end is waited for", async (signal, code) => {
    const child = await follow(SLOW);
    await rig.put("a", "1");
    await rig.put("a", "2");
    await untilThere("began");
    expect(await child.kill(signal)).toBe(code);
    expect(child.endedBy()).toBe(null);
    expect(child.output).toEqual({ stdout: "told\n", stderr: "" });
  });

  test("a second signal kills a command that does not listen", async () => {
    const child = await follow("trap '' INT; touch began; while :; do sleep 0.02; done");
    await rig.put("a", "1");
    await untilThere("began");
    const first = child.kill("SIGINT");
    expect(await Promise.race([first, Bun.sleep(300)])).toBe(undefined);
    expect(await child.kill("SIGINT")).toBe(130);
    expect(child.output).toEqual({ stdout: "", stderr: "" });
  });

  test("a signal while no command runs ends it at once", async () => {
    const child = await follow("exit 1");
    expect(await child.kill("SIGINT")).toBe(130);
    expect(child.output).toEqual({ stdout: "", stderr: "" });
  });

  test("Ctrl-C at a terminal reaches the command once", async () => {
    const line = `n=0; trap 'n=$((n+1))' INT; touch began; while [ $n = 0 ]; do sleep 0.02; done; sleep 0.2; echo "told $n"`;
    const session = openTerminal(["watch", "--from", "1", "--", "sh", "-c", line], {
      url: rig.url,
      directory: rig.directory,
    });
    await rig.put("a", "1");
    await untilThere("began");
    session.type("\u0003");
    expect(await session.exited).toBe(130);
    expect(session.output).toBe("^C\r\ntold 1\r\n");
  });

  test("Ctrl-C that ends the command itself is no failure of it", async () => {
    const session = openTerminal(
      ["watch", "--from", "1", "--", "sh", "-c", "touch began; exec sleep 20"],
      {
        url: rig.url,
        directory: rig.directory,
      },
    );
    await rig.put("a", "1");
    await rig.put("a", "2");
    await untilThere("began");
    session.type("\u0003");
    expect(await session.exited).toBe(130);
    expect(session.output).toBe("^C\r\n");
  });

  test("a closed pipe ends it quietly", async () => {
    for (const key of ["a", "b", "c"]) await rig.put(key, "1");
    const line = "kv watch --from 1 -- /bin/echo x | head -1; echo ${PIPESTATUS[0]}";
    const ran = await shell(line, { url: rig.url });
    expect(ran).toMatchObject({ stdout: "x\n0\n", stderr: "" });
  });
});
