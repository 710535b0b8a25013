/** Watches of pages: origins that are allowed read their streams, all others get nothing. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rawRequest, sendUntil, type RawAnswer } from "../support/raw-http.ts";
import { put, write } from "../support/stores.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

const APP = "https://app.example.com";
const TARGETS = ["/v1/watch?initial", "/v1/kv/key?initial"];
const SSE = "Accept: text/event-stream";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ allowedOrigins: [APP] });
  await write(server.store, put("key", "secret"));
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

/** What there is of the answer once it has the whole state, or is over. */
async function ask(target: string, ...headers: string[]): Promise<RawAnswer> {
  const request = rawRequest("GET", target, [SSE, ...headers]);
  const answer = await sendUntil(server.port, request, (body) =>
    /event: (sync|change)\n.*\n\n$|^\{"error".*\n$/s.test(body),
  );
  return answer!;
}

describe.each(TARGETS)("%s", (target) => {
  test("is read by a page of an allowed origin", async () => {
    const answer = await ask(target, `Origin: ${APP}`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    expect(answer.headers.get("access-control-allow-origin")).toBe(APP);
    expect(answer.headers.get("access-control-expose-headers")).toContain("Retry-After");
    expect(answer.headers.get("vary")).toBe("Accept, Origin");
    expect(answer.body).toContain("secret");
  });

  test("is read by a page of the server itself, and by what is no page", async () => {
    for (const headers of [[`Origin: http://localhost`], []]) {
      const answer = await ask(target, ...headers);
      expect(answer.status).toBe(200);
      expect(answer.headers.has("access-control-allow-origin")).toBe(false);
    }
  });

  test.each(["null", "https://app.example.com.evil.test", "http://app.example.com", "file://"])(
    "is refused to a page of %s",
    async (origin) => {
      const answer = await ask(target, `Origin: ${origin}`);
      expect(answer.status).toBe(403);
      expect(answer.headers.has("access-control-allow-origin")).toBe(false);
      expect(answer.body).not.toContain("secret");
    },
  );

  test("tells a page of an allowed origin what is wrong with it", async () => {
    const answer = await ask(target.replace("initial", "from=9"), `Origin: ${APP}`);
    expect(answer.status).toBe(400);
    expect(answer.headers.get("access-control-allow-origin")).toBe(APP);
  });

  test("may be asked for with Last-Event-ID by fetch, as the preflight says", async () => {
    const asked = [`Origin: ${APP}`, "Access-Control-Request-Method: GET"];
    const path = target.split("?")[0]!;
    const answer = await server.raw(rawRequest("OPTIONS", path, asked));
    expect(answer!.status).toBe(204);
    expect(answer!.headers.get("access-control-allow-origin")).toBe(APP);
    expect(answer!.headers.get("access-control-allow-headers")!.split(", ")).toContain(
      "Last-Event-ID",
    );
    const foreign = await server.raw(
      rawRequest("OPTIONS", path, ["Origin: https://evil.test", asked[1]!]),
    );
    expect(foreign!.status).toBe(403);
  });
});

test("an allowed null origin reads its streams", async () => {
  await using open = await startTestServer({ allowedOrigins: ["null"] });
  const request = rawRequest("GET", "/v1/watch", [SSE, "Origin: null"]);
  const answer = await sendUntil(open.port, request, (body) => body.includes("created"));
  expect(answer!.status).toBe(200);
  expect(answer!.headers.get("access-control-allow-origin")).toBe("null");
});

test("a name that pages may not have is refused to streams too", async () => {
  const answer = await ask("/v1/watch", "Host: rebound.example.net");
  expect(answer.status).toBe(403);
});
