/** `GET /v1/status?watchers`: who watches what, how, and how far they have come. */

import { describe, expect, test } from "bun:test";
import { WATCHERS_LISTED_MAX } from "../../src/limits.ts";
import type { WatcherDescription } from "../../src/watch/watcher-description.ts";
import { schemaFaults } from "../support/api-description.ts";
import { openHandlerBench } from "../support/handler-bench.ts";
import { openSocket } from "../support/socket-client.ts";
import { put, write } from "../support/stores.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";
import { openWatchStream } from "../support/watch-stream.ts";

interface Answer {
  watchers: number;
  watching: WatcherDescription[];
}

async function status(server: TestServer): Promise<Answer> {
  const answer = (await (await server.fetch("/v1/status?watchers=true")).json()) as Answer;
  expect(schemaFaults("#/components/schemas/Status", answer)).toEqual([]);
  return answer;
}

/** In one order; which watch began first is left to the network. */
function sorted(descriptions: readonly WatcherDescription[]): string[] {
  return descriptions.map((description) => JSON.stringify(description)).sort();
}

describe("the status names the watchers", () => {
  test("of every transport, with their filters and where they are", async () => {
    await using server = await startTestServer();
    await using sse = await openWatchStream(
      `${server.url}/v1/watch?prefix=b/&prefix=a/&prev`,
      "sse",
    );
    await using lines = await openWatchStream(`${server.url}/v1/watch?start=a&end=b&keys`);
    await using key = await openWatchStream(`${server.url}/v1/kv/k?latest`, "sse");
    const socket = await openSocket(server.url);
    await socket.request({ op: "watch", key: ["x", "y"], prefix: "z/" });
    const { revision } = await write(server.store, put("k"), put("a/1"), put("x"));
    for (const stream of [sse, lines, key]) await stream.until(({ type }) => type === "change");
    const { watchers, watching } = await status(server);
    expect(watchers).toBe(4);
    const here = { state: "live", position: revision, lag: 0, unsentBytes: 0 } as const;
    const expected: WatcherDescription[] = [
      { filter: { prefix: ["a/", "b/"], prev: true }, transport: "sse", ...here },
      { filter: { start: "a", end: "b", keys: true }, transport: "ndjson", ...here },
      { filter: { key: "k", latest: true }, transport: "sse", ...here },
      { filter: { key: ["x", "y"], prefix: "z/" }, transport: "ws", ...here },
    ];
    expect(sorted(watching)).toEqual(sorted(expected));
    await socket.close();
  });

  test("only when it is asked to", async () => {
    await using server = await startTestServer();
    await using _ = await openWatchStream(`${server.url}/v1/watch`);
    for (const path of ["/v1/status", "/v1/status?watchers=false"]) {
      const answer = (await (await server.fetch(path)).json()) as Answer;
      expect(answer.watchers).toBe(1);
      expect("watching" in answer).toBe(false);
    }
  });

  test("up to a bound", async () => {
    const { answer, context } = openHandlerBench();
    const open = Array.from({ length: WATCHERS_LISTED_MAX + 1 }, (_, at) =>
      context.hub.openStream("ndjson", { range: { key: `${at}` } }),
    );
    await Promise.all(open);
    const listed = (await (await answer("/v1/status?watchers"))!.json()) as Answer;
    expect(listed.watchers).toBe(WATCHERS_LISTED_MAX + 1);
    expect(listed.watching).toHaveLength(WATCHERS_LISTED_MAX);
  });
});
