/** serve: its start line, its end, what survives, and every way in which it cannot start. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { executable } from "../../scripts/build.ts";
import { testWithTool } from "../support/needs.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";
import { expectFailure, expectNoTrace, kv, run, start, type Ran, type Running } from "./rig.ts";

let temporary: TemporaryDirectory;
const started: ServerProcess[] = [];
const running: Running[] = [];

beforeEach(() => {
  temporary = temporaryDirectory();
});

afterEach(async () => {
  for (const server of started.splice(0)) {
    await server.kill();
    expectNoTrace(server.output.stderr);
  }
  await Promise.all(running.splice(0).map((child) => child.kill("SIGKILL")));
  temporary.remove();
});

async function serve(
  options: Partial<Parameters<typeof startServerProcess>[0]> = {},
): Promise<ServerProcess> {
  const server = await startServerProcess({ directory: join(temporary.path, "data"), ...options });
  started.push(server);
  return server;
}

/** Runs `kv serve` that must not start. */
function refused(...flags: string[]): Promise<Ran> {
  return kv(["serve", "--port", "0", ...flags], { directory: temporary.path });
}

describe("the start", () => {
  test("it says in one line where it listens, where the data is, and at which revision", async () => {
    const server = await serve();
    const data = join(temporary.path, "data");
    const line = `serves ${server.url}, data in ${data}, revision 0\n`;
    expect(server.output.stderr).toMatch(/^kv \S+ serves /);
    expect(server.output.stderr).toEndWith(line);
    expect(server.output.stderr.split("\n")).toHaveLength(2);
    expect(server.output.stdout).toBe("");
    expect(statSync(data).mode & 0o777).toBe(0o700);
  });

  test("port 0 takes any free port and tells which", async () => {
    const [one, two] = [await serve(), await serve({ directory: join(temporary.path, "other") })];
    expect(one.port).toBeGreaterThan(0);
    expect(two.port).not.toBe(one.port);
  });

  test("the environment says the same as the flags, and a flag wins", async () => {
    const environment = {
      KV_HOST: "127.0.0.2",
      KV_PORT: "1",
      KV_DATA: join(temporary.path, "not-this"),
      KV_ALLOWED_HOSTS: "kv.example.com, other.example.com",
      KV_ALLOWED_ORIGINS: "https://app.example.com",
    };
    const server = await serve({ environment });
    expect(new URL(server.url).hostname).toBe("127.0.0.2");
    expect(readdirSync(temporary.path)).toEqual(["data"]);
    const ask = (headers: Record<string, string>): Promise<Response> =>
      fetch(`${server.url}/v1/status`, { headers });
    expect((await ask({ Host: "other.example.com" })).status).toBe(200);
    expect((await ask({ Host: "third.example.com" })).status).toBe(403);
    expect((await ask({ Origin: "https://app.example.com" })).status).toBe(200);
    expect((await ask({ Origin: "https://third.example.com" })).status).toBe(403);
  });

  test("without --data it is ./kv-data", async () => {
    const child = start(["serve", "--port", "0"], { directory: temporary.path });
    expect((await child.errorLines(1))[0]).toContain(`data in ${temporary.path}/kv-data,`);
    expect(await child.kill("SIGTERM")).toBe(0);
  });

  test("an address that other machines reach is warned of, loopback is not", async () => {
    const open = await serve({ flags: ["--host", "0.0.0.0"] });
    await until(() => open.output.stderr.includes("other machines can reach"));
    expect(open.output.stderr.trimEnd().split("\n")).toHaveLength(2);
    expect(open.output.stderr).toContain("\nwarning: ");
    const closed = await serve({
      directory: join(temporary.path, "v6"),
      flags: ["--host", "localhost"],
    });
    await closed.kill("SIGTERM");
    expect(closed.output.stderr).not.toContain("warning");
  });

  test(".env and bunfig.toml of the working directory have no effect", async () => {
    writeFileSync(join(temporary.path, ".env"), "KV_PORT=1\nKV_DATA=elsewhere\nKV_URL=:1\n");
    writeFileSync(join(temporary.path, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
    writeFileSync(join(temporary.path, "evil.ts"), 'console.log("evil"); process.exit(9);\n');
    const version = await kv(["--version"], { directory: temporary.path });
    expect(version).toMatchObject({ exitCode: 0, stderr: "" });
    expect(version.stdout).not.toContain("evil");
    const child = start(["serve", "--port=0"], { directory: temporary.path });
    expect((await child.errorLines(1))[0]).toContain("/kv-data,");
    expect(await child.kill("SIGINT")).toBe(0);
  });
});

describe("the end", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s stops it in order, exit code 0", async (signal) => {
    const server = await serve();
    await kv(["put", "k", "v"], { url: server.url });
    expect(await server.kill(signal)).toBe(0);
    const lines = server.output.stderr.trimEnd().split("\n");
    expect(lines.slice(1)).toEqual([
      `${signal}: finishing what is in flight`,
      "stopped at revision 1",
    ]);
  });

  test("what is in flight is finished: a put that has begun is answered and kept", async () => {
    const server = await serve();
    const put = await beginPut(server, "slow", "one ", 7);
    const exited = server.kill("SIGTERM");
    await until(() => server.output.stderr.includes("finishing"));
    expect(await put.finish("two")).toStartWith("HTTP/1.1 201");
    expect(await exited).toBe(0);
    const again = await serve();
    expect((await kv(["get", "slow"], { url: again.url })).stdout).toBe("one two");
  });

  test("watches are ended, and go on with the next server", async () => {
    const server = await serve();
    const watch = start(["watch"], { url: server.url });
    await kv(["put", "k", "1"], { url: server.url });
    await until(() => isWatched(server));
    expect(await server.kill("SIGTERM")).toBe(0);
    expect((await watch.errorLines(1))[0]).toContain("connection lost");
    const again = await serve({ port: server.port });
    await kv(["put", "k", "2"], { url: again.url });
    await until(() => watch.output.stdout.includes('"value":"2"'));
    expect(await watch.kill("SIGINT")).toBe(130);
  });

  test("a second signal ends it at once", async () => {
    const server = await serve();
    // A request whose body never ends holds the first stop.
    const put = await beginPut(server, "slow", "one ", 7);
    const exited = server.kill("SIGTERM");
    await until(() => server.output.stderr.includes("finishing"));
    process.kill(server.pid, "SIGINT");
    expect(await exited).toBe(130);
    put.abandon();
  });
});

describe("what survives", () => {
  test.each(["SIGTERM", "SIGKILL"] as const)("all answered writes survive %s", async (signal) => {
    const server = await serve();
    for (const [key, value] of [
      ["a", "1"],
      ["b", "2"],
      ["a", "3"],
    ] as const) {
      expect((await kv(["put", key, value], { url: server.url })).exitCode).toBe(0);
    }
    await kv(["del", "b"], { url: server.url });
    await server.kill(signal);
    const again = await serve();
    expect(again.output.stderr).toContain("revision 4\n");
    expect((await kv(["ls", "-o", "json"], { url: again.url })).stdout).toMatch(
      /^\{"key":"a","value":"3",.*\}\n$/,
    );
  });
});

describe("what keeps it from starting is one line and exit code 1", () => {
  test("a port that is taken", async () => {
    const server = await serve();
    const ran = await kv(["serve", "--data", "other", "--port", String(server.port)], {
      directory: temporary.path,
    });
    expectFailure(ran, 1, `cannot listen on 127.0.0.1 port ${server.port}`);
  });

  test("a port that is taken, or an origin that is none, leaves no new store behind", async () => {
    const server = await serve();
    mkdirSync(join(temporary.path, "empty"));
    const taken = ["--port", String(server.port)];
    const noOrigin = ["--port", "0", "--allowed-origins", "app.example.com"];
    for (const data of ["new/below", "empty"]) {
      for (const flags of [taken, noOrigin, ["--port", "0", "--host", "192.0.2.1"]]) {
        const argv = ["serve", "--data", data, ...flags];
        expectFailure(await kv(argv, { directory: temporary.path }), 1, "kv serve: ");
      }
    }
    expect(readdirSync(temporary.path).sort()).toEqual(["data", "empty"]);
    expect(readdirSync(join(temporary.path, "empty"))).toEqual([]);
  });

  test("an address that this machine does not have, a host that does not exist", async () => {
    expectFailure(await refused("--host", "192.0.2.1"), 1, "cannot listen on 192.0.2.1");
    for (const host of ["nowhere.invalid", "999.1.1.1", "a b", "::g"]) {
      const ran = await refused("--host", host);
      expectFailure(
        ran,
        1,
        `cannot listen on ${host} port 0: that host is not known, or no address`,
      );
    }
  });

  test("a data directory that another server uses, which goes on unharmed", async () => {
    const server = await serve();
    await kv(["put", "k", "v"], { url: server.url });
    expectFailure(await refused("--data", "data"), 1, "is in use by another kv");
    expect((await kv(["get", "k"], { url: server.url })).stdout).toBe("v");
  });

  test("a data directory that is a file, or below one", async () => {
    writeFileSync(join(temporary.path, "file"), "");
    expectFailure(await refused("--data", "file"), 1, "is not a directory");
    expectFailure(await refused("--data", "file/below"), 1, "is not a directory");
    expectFailure(
      await refused("--data", "/proc/nowhere"),
      1,
      "/proc/nowhere cannot be used: ENOENT",
    );
  });

  test("a data directory that the user may not write to names the user and what to do", async () => {
    const data = join(temporary.path, "locked");
    mkdirSync(data, { mode: 0o555 });
    chmodSync(temporary.path, 0o755);
    const { ran, uid } = await asNobody(["serve", "--port=0", "--data", data]);
    expectFailure(ran, 1, `user ${uid} may not read and write the data directory ${data}`);
    expect(ran.stderr).toContain(`chown -R ${uid}`);
    const below = await asNobody(["serve", "--port=0", "--data", `${data}/below`]);
    expectFailure(below.ran, 1, `user ${uid} may not make the data directory ${data}/below`);
  });

  test("a damaged store names the file and the offset, and is left as it is", async () => {
    const server = await serve();
    for (const value of ["1", "2", "3"]) await kv(["put", "k", value], { url: server.url });
    await server.kill("SIGTERM");
    const data = join(temporary.path, "data");
    const segment = readdirSync(data).find((name) => name.endsWith(".log"))!;
    truncateSync(join(data, segment), statSync(join(data, segment)).size - 20);
    const size = statSync(join(data, segment)).size;
    const ran = await refused("--data", "data");
    expectFailure(ran, 1, `the data directory ${data} cannot be opened: ${segment}`);
    expect(ran.stderr).toEndWith(`see what is damaged with: kv check ${data}\n`);
    expect(statSync(join(data, segment)).size).toBe(size);
  });

  test("an origin or a host that could never match", async () => {
    expectFailure(await refused("--allowed-origins", "app.example.com"), 1, "app.example.com");
  });
});

describe("a disk that fails", () => {
  test("a full disk is exit code 8 for a put, and everything else goes on", async () => {
    const { child, url } = await startThrough(["bash", "-c", 'ulimit -f 64; exec "$0" "$@"']);
    expect((await kv(["put", "k", "kept"], { url })).exitCode).toBe(0);
    const big = await kv(["put", "k", "-"], { url, input: new Uint8Array(200_000) });
    expectFailure(big, 8, "the disk is full");
    expect((await kv(["get", "k"], { url })).stdout).toBe("kept");
    expect(await child.kill("SIGTERM")).toBe(0);
  });

  testWithTool(
    "strace",
    "a failed fdatasync is answered as unknown, said in one line, and exit code 1",
    async () => {
      const server = await serve();
      await kv(["put", "k", "before"], { url: server.url });
      expect(await server.kill("SIGTERM")).toBe(0);
      const data = join(temporary.path, "data");
      const segment = join(
        data,
        readdirSync(data).find((name) => name.endsWith(".log"))!,
      );
      const inject = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO", "-P", segment];
      const { child, url } = await startThrough(["strace", "-fqq", "-o", "/dev/null", ...inject]);
      const put = await kv(["put", "k", "after"], { url });
      expectFailure(put, 6, "the write may have been applied");
      expect(await child.exited).toBe(1);
      const lines = child.output.stderr.trimEnd().split("\n");
      expect(lines).toHaveLength(2);
      expect(lines[1]).toStartWith("fatal: the store failed and kv ends: ");
      const again = await serve();
      expect((await kv(["get", "k"], { url: again.url })).stdout).toMatch(/^(before|after)$/);
    },
  );
});

/** Starts a server by way of another command. */
async function startThrough(through: string[]): Promise<{ child: Running; url: string }> {
  const argv = ["serve", "--port=0", "--data=data"];
  const child = start(argv, { directory: temporary.path, through });
  running.push(child);
  const [line] = await child.errorLines(1);
  return { child, url: /http:\S+:\d+/.exec(line!)![0] };
}

/** Waits for what another process does. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(5);
}

async function isWatched(server: ServerProcess): Promise<boolean> {
  const status = (await (await fetch(`${server.url}/v1/status`)).json()) as { watchers: number };
  return status.watchers > 0;
}

/** A put whose head and first bytes the server has, and whose body goes on when the test says so. */
async function beginPut(
  server: ServerProcess,
  key: string,
  begin: string,
  bytes: number,
): Promise<{ finish(rest: string): Promise<string>; abandon(): void }> {
  const answered = Promise.withResolvers<string>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port,
    socket: { data: (_, data) => answered.resolve(data.toString()), close() {} },
  });
  const head = `PUT /v1/kv/${key} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${bytes}\r\n\r\n`;
  socket.write(head + begin);
  // What was sent before is read before: when these are answered, the put has begun.
  for (let round = 0; round < 3; round++) await (await fetch(`${server.url}/livez`)).text();
  return {
    finish(rest) {
      socket.write(rest);
      return answered.promise;
    },
    abandon: () => void socket.terminate(),
  };
}

/** Runs kv as a user who is not root, whom no file permission stops. */
async function asNobody(argv: readonly string[]): Promise<{ ran: Ran; uid: number }> {
  if (process.getuid!() !== 0) return { ran: await kv(argv), uid: process.getuid!() };
  const copy = join(temporary.path, "kv");
  await Bun.write(copy, Bun.file(executable));
  chmodSync(copy, 0o755);
  return {
    ran: await run(["setpriv", "--reuid=65534", "--clear-groups", copy, ...argv]),
    uid: 65_534,
  };
}
