/**
 * An EventSource in a browser while the server is stopped and killed under load: a page whose only code
 * is a listener gets every event once, in order. The log of the server is the truth.
 */

import { expect } from "bun:test";
import { startChromium, type Page } from "../support/chromium.ts";
import { testWithTool } from "../support/needs.ts";
import { servePage } from "../support/page-server.ts";
import { rounds } from "../support/rounds.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { openWatchStream } from "../support/watch-stream.ts";

/** Restarts; 50 where the environment asks for 25 times as much. */
const RESTARTS = rounds(2);
const WRITERS = 4;

interface Seen {
  readonly revision: number;
  readonly keys: string[];
}

/** All of its code is in the listener. */
function pageOf(url: string): string {
  return `<!doctype html><script>
    const seen = [];
    const source = new EventSource("${url}/v1/watch?prefix=load/&keys");
    source.addEventListener("change", ({ data }) => {
      const { revision, events } = JSON.parse(data);
      seen.push({ revision, keys: events.map(({ key }) => key) });
    });
  </script>`;
}

/** Writes for ever, whatever becomes of the server. What is unknown is decided by the log. */
async function load(url: string, writer: number, over: AbortSignal): Promise<number> {
  let done = 0;
  for (let at = 0; !over.aborted; at++) {
    const keys = Array.from({ length: 1 + (at % 3) }, (_, key) => `load/${writer}/${key}`);
    const operations = keys.map((key) => ({ op: "put", key, value: `${at}` }));
    try {
      const body = JSON.stringify({ then: operations });
      const answer = await fetch(`${url}/v1/txn`, { method: "POST", body });
      if (answer.ok) done++;
      await answer.text();
    } catch {
      // The server is away.
    }
    await Bun.sleep(2);
  }
  return done;
}

/** Waits until an expression holds in the page. @throws when the page will not connect again. */
async function until(page: Page, expression: string): Promise<void> {
  await page.until(`source.readyState === EventSource.CLOSED || (${expression})`);
  if (await page.evaluate<boolean>(expression)) return;
  const seen = await page.evaluate<string>("JSON.stringify(seen.at(-1))");
  throw new Error(`the EventSource has given up; the last it has seen is ${seen}`);
}

/** What the log has, from a revision on to another. */
async function truth(server: ServerProcess, from: number, through: number): Promise<Seen[]> {
  const url = `${server.url}/v1/watch?prefix=load/&keys&from=${from}`;
  await using stream = await openWatchStream(url);
  const frames = await stream.until(({ revision }) => (revision as number) >= through);
  return frames
    .filter(({ type }) => type === "change")
    .map((frame) => ({
      revision: frame["revision"] as number,
      keys: (frame["events"] as { key: string }[]).map(({ key }) => key),
    }));
}

testWithTool(
  "chromium",
  `an EventSource gets every event once through ${RESTARTS} restarts under load`,
  async () => {
    using directory = temporaryDirectory();
    let server = await startServerProcess({ directory: directory.path });
    const { url, port } = server;
    await using site = servePage(pageOf(url));
    const flags = ["--allowed-origins", site.origin];
    await server.kill("SIGTERM");
    server = await startServerProcess({ directory: directory.path, port, flags });
    await using browser = await startChromium();
    const page = await browser.open(site.origin);

    // Neither a writer nor a server must outlive a test that fails.
    const over = new AbortController();
    await using ends = new AsyncDisposableStack();
    ends.defer(() => over.abort());
    ends.defer(async () => void (await server.kill()));
    const writers = Array.from({ length: WRITERS }, (_, at) => load(url, at, over.signal));
    await until(page, "seen.length > 0");
    for (let restart = 0; restart < RESTARTS; restart++) {
      await Bun.sleep((restart * 37) % 200);
      await server.kill(restart % 2 === 0 ? "SIGKILL" : "SIGTERM");
      await Bun.sleep((restart * 17) % 50);
      server = await startServerProcess({ directory: directory.path, port, flags });
      const { revision } = (await (await fetch(`${url}/v1/status`)).json()) as { revision: number };
      // Back, and past what was there when it came back.
      await until(page, `(seen.at(-1)?.revision ?? 0) > ${revision}`);
    }
    over.abort();
    const written = (await Promise.all(writers)).reduce((sum, count) => sum + count);
    const { revision } = (await (await fetch(`${url}/v1/status`)).json()) as { revision: number };
    await until(page, `seen.at(-1).revision === ${revision}`);

    const seen = JSON.parse(await page.evaluate<string>("JSON.stringify(seen)")) as Seen[];
    const there = await truth(server, seen[0]!.revision, revision);
    expect(seen).toEqual(there);
    expect(seen.length).toBeGreaterThan(written / 2);
  },
  60_000 + RESTARTS * 3_000,
);
