/** Wrong command lines: each is one line that says what to do, exit code 2, and nothing has happened. */

import { describe, expect, test } from "bun:test";
import { COMMANDS } from "../../src/cli/commands.ts";
import { expectFailure, kv, shell } from "./rig.ts";

const names = Object.keys(COMMANDS);

/** Arguments with which each command is complete. */
const COMPLETE: Readonly<Record<string, readonly string[]>> = {
  serve: [],
  get: ["k"],
  put: ["k", "v"],
  del: ["k"],
  ls: [],
  watch: [],
  wait: ["k"],
  incr: ["k"],
  touch: ["k", "--ttl", "1s"],
  history: ["k"],
  txn: ["-"],
  compact: ["1"],
  backup: ["-"],
  restore: ["-"],
  check: [],
  status: [],
  bench: [],
  health: [],
};

/** A flag with a value that each command has, misspelt and right. */
function flagOf(name: string): { typo: string; flag: string } {
  if (name === "serve") return { typo: "--prot", flag: "--port" };
  if (name === "restore") return { typo: "--dtaa", flag: "--data" };
  if (name === "check") return { typo: "--itno", flag: "--into" };
  return { typo: "--urll", flag: "--url" };
}

test("each command is in the table of this test", () => {
  expect(Object.keys(COMPLETE).sort()).toEqual([...names].sort());
});

describe.each(names)("kv %s", (name) => {
  const complete = [name, ...COMPLETE[name]!];

  test("an unknown flag names the nearest one", async () => {
    expectFailure(await kv([...complete, "--hlep"]), 2, `kv ${name}: unknown flag "--hlep"`);
    const { typo, flag } = flagOf(name);
    expectFailure(await kv([...complete, typo, "x"]), 2, `did you mean ${flag}?`);
  });

  test("a flag without its value is refused", async () => {
    const { flag } = flagOf(name);
    expectFailure(await kv([...complete, flag]), 2, `${flag} needs a value`);
  });

  test("a flag that is given twice is refused", async () => {
    const { flag } = flagOf(name);
    expectFailure(await kv([...complete, flag, "1", flag, "2"]), 2, "is given twice");
  });

  if (["del", "watch", "restore", "bench"].includes(name)) {
    test("any number of arguments is right", async () => {
      const why = name === "bench" ? /unknown workload ""/ : /(the key|FILE) is empty/;
      const any = name === "bench" ? ["put", "get", ""] : ["a", "b", ""];
      expectFailure(await kv([...complete, ...any]), 2, why);
    });
  } else {
    test("an argument too many is refused", async () => {
      const isOptional = ["ls", "incr", "check"].includes(name);
      const extra = isOptional ? ["a", "b"] : ["extra"];
      expectFailure(await kv([...complete, ...extra]), 2, "unexpected argument");
    });
  }

  if (COMPLETE[name]!.length > 0) {
    test("a missing argument is named", async () => {
      expectFailure(await kv([name]), 2, /(KEY|FILE|REVISION) is missing/);
    });
  }

  test("the message says where the help is", async () => {
    expectFailure(await kv([...complete, "--nope"]), 2, `(see: kv ${name} --help)`);
  });
});

describe("names of commands", () => {
  test.each([
    ["gt", "kv get"],
    ["pt", "kv put"],
    ["dle", "kv del"],
    ["sevre", "kv serve"],
    ["wach", "kv watch"],
    ["tnx", "kv txn"],
    ["stauts", "kv status"],
    ["helth", "kv health"],
    ["bakcup", "kv backup"],
    ["resotre", "kv restore"],
    ["chekc", "kv check"],
    ["fsck", "kv check"],
    ["export", "kv backup"],
    ["import", "kv restore"],
    ["GET", "kv get"],
    ["set", "kv put"],
    ["list", "kv ls"],
    ["delete", "kv del"],
    ["icnr", "kv incr"],
    ["increment", "kv incr"],
    ["expire", "kv touch"],
    ["hisotry", "kv history"],
    ["versions", "kv history"],
    ["comapct", "kv compact"],
    ["wiat", "kv wait"],
    ["await", "kv wait"],
  ])("kv %s is refused and names %s", async (typo, meant) => {
    expectFailure(await kv([typo, "k"]), 2, `did you mean ${meant}?`);
  });

  test.each(["toString", "__proto__", "constructor", "hasOwnProperty", "", "frobnicate"])(
    "kv %j is unknown",
    async (name) => expectFailure(await kv([name]), 2, "unknown command"),
  );

  test("a flag of a command does not go before it", async () => {
    expectFailure(await kv(["--url", ":1", "get", "k"]), 2, "write kv COMMAND --url");
  });

  test("a flag of kv itself that is misspelt names the right one", async () => {
    expectFailure(
      await kv(["--verison"]),
      2,
      'unknown flag "--verison"; did you mean kv --version?',
    );
    expectFailure(await kv(["--hlep"]), 2, "did you mean kv --help?");
  });

  test("control characters of a wrong argument do not reach the terminal", async () => {
    const ran = await kv(["\u001b[31mred\u0007"]);
    expect(ran.exitCode).toBe(2);
    expect(ran.stderr).not.toContain("\u001b");
    expect(ran.stderr).not.toContain("\u0007");
  });
});

describe("values of flags", () => {
  const UNREACHED = { url: "http://127.0.0.1:1" };

  test.each([
    [["ls", "--limit", "0"], "--limit must be a whole number of at least 1"],
    [["ls", "--limit", "1.5"], "--limit must be a whole number"],
    [["ls", "--limit", "-1"], "--limit must be a whole number"],
    [["ls", "--limit=1e3"], "--limit must be a whole number"],
    [["ls", "--limit", "99999999999999999999"], "--limit must be a whole number"],
    [["ls", "-o", "tabel"], 'did you mean "table"?'],
    [["ls", "a", "--start", "b"], "exclude each other"],
    [["ls", "-0", "-o", "json"], "exclude each other"],
    [["get", "k", "--timeout", "10"], "--timeout must be a time such as"],
    [["get", "k", "--timeout", "0s"], "--timeout must be a time such as"],
    [["get", "k", "--timeout", "-1s"], "--timeout must be a time such as"],
    [["get", "k", "--timeout", "365d"], "--timeout must be a time such as"],
    [["put", "k", "v", "--if-revision", "x"], "--if-revision must be a whole number"],
    [["put", "k", "v", "--if-revision", "1", "--if-absent"], "exclude each other"],
    [["put", "k", "v", "--file", "x"], "VALUE and --file exclude each other"],
    [["put", "k"], "VALUE is missing"],
    [["put", "k", "hello", "world"], "quote an argument with spaces"],
    [["del", "a", "b", "--if-revision", "1"], "--if-revision takes one key"],
    [["del", "a", "--if-revision", "0"], "of at least 1"],
    [["del", "a", "--prefix", "b"], "KEY and a range exclude each other"],
    [["del", "a", "--all"], "KEY and a range exclude each other"],
    [["del", "a", "--yes"], "--yes is for a range"],
    [["del", "--prefix", "a", "--start", "b"], "--prefix and --start or --end exclude each other"],
    [["del", "--prefix", "a", "--all"], "--prefix and --all exclude each other"],
    [["del", "--prefix", "a", "--if-revision", "1"], "--if-revision takes one key, and no range"],
    [["del", "--prefix", ""], "--prefix is empty, which is every key"],
    [["del", "--start="], "--start is empty, which is every key"],
    [["put", "k", "v", "--ttl", "30"], '--ttl cannot be "30"; it takes a time such as'],
    [["put", "k", "v", "--ttl", "none"], "or keep"],
    [["put", "k", "v", "--ttl", "3651d"], "up to 3650d"],
    [["incr", "k", "1.5"], "BY must be an integer of 64 bits"],
    [["incr", "k", "+1"], "BY must be an integer of 64 bits"],
    [["incr", "k", "9223372036854775808"], "BY must be an integer of 64 bits"],
    [["incr", "k", "--by", "x"], "--by must be an integer of 64 bits"],
    [["incr", "k", "1", "--by", "1"], "BY and --by exclude each other"],
    [["incr", "k", "--ttl", "keep"], "--ttl cannot be"],
    [["touch", "k"], "--ttl is missing"],
    [["touch", "k", "--ttl", "forever"], "or keep, or none"],
    [["history", "k", "--limit", "0"], "--limit must be a whole number of at least 1"],
    [["history", "k", "--before", "x"], "--before must be a whole number of at least 1"],
    [["history", "k", "-o", "yaml"], "known are raw, json, table"],
    [["compact", "x"], "REVISION must be a whole number of at least 0"],
    [["compact", "-1"], "REVISION must be a whole number of at least 0"],
    [["wait", "k", "--value", "v", "--absent"], "--value and --absent exclude each other"],
    [["wait", "k", "--absent", "--revision", "1"], "--absent and --revision exclude each other"],
    [["wait", "k", "--revision", "0"], "--revision must be a whole number of at least 1"],
    [["wait", "k", "--timeout", "5"], "--timeout must be a time such as"],
    [["get", "k", "--revision", "-1"], "--revision must be a whole number of at least 0"],
    [["ls", "--count", "--reverse"], "--count and --reverse exclude each other"],
    [["ls", "--count", "-o", "table"], "--count and -o table exclude each other"],
    [["ls", "--count", "-0"], "--count and --null exclude each other"],
    [["ls", "--delimiter", ""], "--delimiter is empty"],
    [["ls", "-o", "keys"], "known are raw, json, table"],
    [["watch", "-o", "pretty"], "known are json, table, frames"],
    [["watch", "k", "--start", "p"], "exclude each other"],
    [["watch", "--from", "0"], "--from must be a whole number of at least 1"],
    [["serve", "--port", "65536"], "--port must be a whole number from 0 to 65535"],
    [["serve", "--port", "http"], "--port must be a whole number"],
    [["serve", "--data="], "--data is empty"],
    [["serve", "--durability", "async"], '--durability cannot be "async"; it takes sync, os, or'],
    [["serve", "--history", "24"], "--history must be a time such as 30m, 24h or 7d, 0 for no"],
    [["serve", "--history-bytes", "1G"], "--history-bytes must be a size of at least 0 bytes"],
    [["serve", "--reserve-bytes", "-1"], "--reserve-bytes must be a size"],
    [["serve", "--segment-bytes", "1KiB"], "from 64.0 KiB to 1.0 GiB"],
    [["backup", ""], "FILE is empty"],
    [["backup", "f", "--since", "-1"], "--since must be a whole number of at least 0"],
    [["backup", "-", "-o", "json"], "-o json and - exclude each other"],
    [["backup", "-", "--force"], "--force is for a file, and - is stdout"],
    [["restore", "-", "-"], "- stands there twice"],
    [["restore", "f", "--data="], "--data is empty"],
    [["check", ""], "DIRECTORY is empty"],
    [["check", "d", "--repair"], "--repair needs --into"],
    [["check", "d", "--into", "e"], "--into is for --repair"],
    [["check", "d", "--repair", "--into="], "--into is empty"],
    [["check", "d", "--repair", "--into", "d"], "--into is in the damaged directory"],
    [["check", "d", "--repair", "--into", "d/e"], "--into is in the damaged directory"],
    [["serve", "--host="], "--host is empty"],
  ])("kv %j", async (argv, message) => {
    expectFailure(await kv(argv, UNREACHED), 2, message);
  });

  test.each([
    [["get", ""], "the key is empty"],
    [["get", "a/../b"], "as a whole segment"],
    [["put", "k".repeat(1025), "v"], "1025 bytes"],
    [["del", "."], "as a whole segment"],
    [["incr", ""], "the key is empty"],
    [["touch", "", "--ttl", "1s"], "the key is empty"],
    [["history", ".."], "as a whole segment"],
    [["wait", "k".repeat(1025)], "1025 bytes"],
    [["del", "--prefix", "p".repeat(1025)], "1025 bytes"],
    [["ls", "p".repeat(1025)], "1025 bytes"],
  ])("a bad key is refused before anything is sent: %j", async (argv, message) => {
    const ran = await kv(argv, UNREACHED);
    expectFailure(ran, message.includes("bytes") ? 8 : 2, message);
  });

  test.each([
    ["x\ny", 'the content type must be visible ASCII, with spaces only inside it, not "x\\ny"'],
    [" text/plain", "the content type must be visible ASCII"],
    ["", "the content type is empty"],
    ["t".repeat(256), "256 characters in the content type; at most 255"],
  ])("a content type that cannot be is refused in plain words: %j", async (type, message) => {
    const ran = await kv(["put", "k", "-", `--content-type=${type}`], UNREACHED);
    expectFailure(ran, type.length > 255 ? 8 : 2, message);
  });

  test("an argument that is no UTF-8 is refused and not changed without a word", async () => {
    const ran = await shell(String.raw`kv put $'caf\xe9' v`, UNREACHED);
    expectFailure(ran, 2, "an argument is not valid UTF-8");
  });
});

describe("the address of the server", () => {
  test.each([
    ["", "is empty"],
    ["5000", 'did you mean ":5000"?'],
    ["ftp://host", "kv is reached by http:// or https://"],
    ["http://", "names no host"],
    ["host:99999", "a port is a number from 1 to 65535"],
    ["http://user:secret@host", "credentials do not belong in a URL"],
    ["http://host/?x", "has a query"],
    ["http://ho st", "space"],
  ])("--url %j is refused", async (url, message) => {
    const ran = await kv(["get", "k", `--url=${url}`]);
    expectFailure(ran, 2, message);
    expect(ran.stderr).not.toContain("secret");
  });

  test("a bad KV_URL is named", async () => {
    const ran = await kv(["get", "k"], { environment: { KV_URL: "ftp://x" } });
    expectFailure(ran, 2, "KV_URL: ");
  });

  test("a bad KV_PORT is named, by clients and by the server", async () => {
    const environment = { KV_PORT: "http" };
    expectFailure(await kv(["get", "k"], { environment }), 2, "KV_PORT must be a whole number");
    expectFailure(await kv(["serve"], { environment }), 2, "KV_PORT must be a whole number");
  });

  test("--url beats KV_URL beats KV_PORT, and empty ones count as not set", async () => {
    const environment = { KV_URL: ":2", KV_PORT: "3" };
    expectFailure(await kv(["get", "k", "--url", ":1"], { environment }), 6, noServerAt(1));
    expectFailure(await kv(["get", "k"], { environment }), 6, noServerAt(2));
    const empty = { KV_URL: "", KV_PORT: "3" };
    expectFailure(await kv(["get", "k"], { environment: empty }), 6, noServerAt(3));
  });
});

function noServerAt(port: number): string {
  return `no server listens at http://127.0.0.1:${port};`;
}
