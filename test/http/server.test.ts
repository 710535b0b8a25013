/** Starting and stopping: what is in flight is finished, what hangs is not waited for without end. */

import { expect, test } from "bun:test";
import { checkStart, startServer } from "../../src/http/server.ts";
import { openFaulty } from "../support/faulty-store.ts";
import { openModel } from "../support/model-store.ts";
import { failure } from "../support/stores.ts";
import { startTestServer } from "../support/test-server.ts";

test("a server tells where it listens", async () => {
  const store = openModel();
  const server = startServer({ store, host: "127.0.0.1", port: 0 });
  expect(server.port).toBeGreaterThan(0);
  expect(server.host).toBe("127.0.0.1");
  expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
  expect((await fetch(`${server.url}/livez`)).status).toBe(200);
  await server.stop();
  await expect(fetch(`${server.url}/livez`)).rejects.toThrow();
});

test("a taken port is one line that says what to do", async () => {
  await using server = await startTestServer();
  const { port } = server;
  const start = () => startTestServer({ port });
  const error = await failure(start, "unavailable");
  expect(error.message).toBe(
    `cannot listen on 127.0.0.1 port ${port}: something else is listening there; choose another with --port`,
  );
  expect((await server.fetch("/livez")).status).toBe(200);
});

test("a check before the start fails as the start would, and else lets go of the port", async () => {
  await using taken = await startTestServer();
  const { port } = taken;
  const bad = [
    { port },
    { host: "192.0.2.1" },
    { allowedHosts: ["a b"] },
    { allowedOrigins: ["app.example.com"] },
  ];
  for (const options of bad) {
    const complete = { host: "127.0.0.1", port: 0, ...options };
    const started = await failure(
      () => startTestServer(complete),
      "unavailable",
      "invalid_argument",
    );
    const checked = await failure(() => checkStart(complete), "unavailable", "invalid_argument");
    expect(checked.message).toBe(started.message);
  }
  await taken.stop();
  await checkStart({ host: "127.0.0.1", port });
  await (await startTestServer({ port })).stop();
});

test("an address of another machine is one line that says what to do", async () => {
  const error = await failure(() => startTestServer({ host: "192.0.2.1" }), "unavailable");
  expect(error.message).toMatch(/^cannot listen on 192\.0\.2\.1 port 0: .+/);
  expect(error.message).not.toContain("\n");
});

test("a stop waits for a write in flight and answers it", async () => {
  const store = openFaulty();
  const server = await startTestServer({ store });
  const gate = Promise.withResolvers<void>();
  store.gate = gate.promise;
  const put = server.fetch("/v1/kv/key", { method: "PUT", body: "value" });
  await until(() => server.fetch("/livez").then(({ ok }) => ok));
  const stopped = server.stop();
  await expect(fetch(`${server.url}/livez`)).rejects.toThrow();
  gate.resolve();
  expect((await put).status).toBe(201);
  await stopped;
});

test("a stop twice is one stop", async () => {
  const store = openModel();
  const server = startServer({ store, host: "127.0.0.1", port: 0 });
  await Promise.all([server.stop(), server.stop()]);
  await server.stop();
});

test("a stop ends watches with a reason and closes their connections with 1001", async () => {
  const server = await startTestServer();
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/v1/ws`);
  const messages: string[] = [];
  const created = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<number>();
  socket.addEventListener("open", () => socket.send('{"id":1,"op":"watch"}'));
  socket.addEventListener("message", ({ data }) => {
    messages.push(String(data));
    created.resolve();
  });
  socket.addEventListener("close", ({ code }) => closed.resolve(code));
  await created.promise;
  await server.stop();
  expect(await closed.promise).toBe(1001);
  expect(messages.at(-1)).toContain('"type":"end","reason":"shutdown"');
});

test("a stop does not wait for connections that ask nothing", async () => {
  const server = await startTestServer();
  const closed = Promise.withResolvers<void>();
  const opened = await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port,
    socket: { data() {}, close: () => closed.resolve() },
  });
  await server.fetch("/livez");
  const started = Date.now();
  await server.stop();
  expect(Date.now() - started).toBeLessThan(2_000);
  opened.end();
  await closed.promise;
});

// --- internal ---

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await Bun.sleep(1);
}
