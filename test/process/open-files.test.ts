/** A server whose connections have taken every file that it may have open. */

import { expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";

/** Small, so that the test is; the server alone takes about 30. */
const OPEN_FILES_MOST = 128;
const VALUE = "x".repeat(4_000);

test("connections that take all open files end no server: writes are refused until there are some", async () => {
  using temporary = temporaryDirectory();
  await using server = await startServerProcess({
    directory: temporary.path,
    flags: ["--segment-bytes", "64KiB", "--reserve-bytes", "0"],
    through: ["bash", "-c", `ulimit -n ${OPEN_FILES_MOST}; exec "$0" "$@"`],
  });
  const line = await Line.open(server);
  expect(await line.put("before")).toBe(201);

  const idle = Array.from({ length: 2 * OPEN_FILES_MOST }, () => connect(server.port, "127.0.0.1"));
  for (const socket of idle) socket.on("error", () => undefined);
  await Promise.all(idle.map(connected));
  // A connection on which nothing was sent is not taken by the server for a while.
  for (const socket of idle) socket.write("GET /");
  const written: string[] = [];
  for (let refused = 0; refused < 3;) {
    const key = `key-${written.length}`;
    const status = await line.put(key);
    if (status === 201) written.push(key);
    else expect([++refused, status]).toEqual([refused, 503]);
  }
  expect(await line.get("before")).toBe(200);
  for (const socket of idle) socket.destroy();
  while ((await line.put("after")) === 503) await Bun.sleep(5);
  for (const key of ["before", ...written]) expect(await line.get(key)).toBe(200);
  line.close();
  expect(await server.kill("SIGTERM")).toBe(0);
  expect(server.output.stderr).toContain(`may have ${OPEN_FILES_MOST} files open`);
}, 60_000);

// --- internal ---

/** One connection that stays open: requests one after the other. */
class Line {
  readonly #socket: Socket;
  #received = "";
  #changed = Promise.withResolvers<void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => this.#take(text));
    socket.on("close", () => this.#changed.reject(new Error("the connection has ended")));
    // Whoever waits is told; nobody has to.
    this.#changed.promise.catch(() => undefined);
  }

  static async open({ port }: ServerProcess): Promise<Line> {
    const socket = connect(port, "127.0.0.1");
    await connected(socket);
    return new Line(socket);
  }

  /** Answers with the status. */
  put(key: string): Promise<number> {
    return this.#request("PUT", key, VALUE);
  }

  get(key: string): Promise<number> {
    return this.#request("GET", key, "");
  }

  close(): void {
    this.#socket.destroy();
  }

  async #request(method: string, key: string, body: string): Promise<number> {
    this.#received = "";
    const length = `Content-Length: ${body.length}`;
    this.#socket.write(
      `${method} /v1/kv/${key} HTTP/1.1\r\nHost: localhost\r\n${length}\r\n\r\n${body}`,
    );
    while (!isWhole(this.#received)) await this.#changed.promise;
    return Number(this.#received.slice(9, 12));
  }

  #take(text: string): void {
    this.#received += text;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    this.#changed.promise.catch(() => undefined);
  }
}

function isWhole(answer: string): boolean {
  const end = answer.indexOf("\r\n\r\n");
  const bytes = /^content-length: (\d+)$/im.exec(answer.slice(0, end))?.[1];
  return end >= 0 && answer.length >= end + 4 + Number(bytes ?? 0);
}

async function connected(socket: Socket): Promise<void> {
  if (!socket.connecting) return;
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
}
