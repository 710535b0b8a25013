/** The live list of the documents, in a browser: on another origin, and across restarts of the server. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startChromium, type Page } from "../support/chromium.ts";
import { testWithTool } from "../support/needs.ts";
import { NGINX_RECIPE, startNginx } from "../support/nginx.ts";
import { servePage } from "../support/page-server.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const PAGE = readFileSync(join(import.meta.dir, "../../docs/live-list.html"), "utf8");

async function put(server: ServerProcess, key: string, value: string): Promise<void> {
  const answer = await fetch(`${server.url}/v1/kv/${key}`, { method: "PUT", body: value });
  expect(answer.ok).toBe(true);
}

/** Waits until the page shows these lines. */
async function shows(page: Page, ...lines: string[]): Promise<void> {
  const text = lines.map((line) => `${line}\n`).join("");
  await page.until(`document.querySelector("#list")?.textContent === ${JSON.stringify(text)}`);
}

test("the live list has no more than 30 lines", () => {
  expect(PAGE.trimEnd().split("\n").length).toBeLessThanOrEqual(30);
});

testWithTool(
  "chromium",
  "the live list follows the keys, through restarts, and starts over with another store",
  async () => {
    using directory = temporaryDirectory();
    await using site = servePage(PAGE);
    await using browser = await startChromium();
    const flags = ["--allowed-origins", site.origin];
    const start = (port: number, name: string): Promise<ServerProcess> =>
      startServerProcess({ directory: join(directory.path, name), port, flags });

    const first = await start(0, "data");
    const { port } = first;
    await put(first, "a/2", "<b>two</b>");
    await put(first, "b/1", "not shown");
    const page = await browser.open(`${site.origin}/?kv=${first.url}&prefix=a/`);
    await shows(page, "a/2 = <b>two</b>");
    await put(first, "a/1", "one");
    await shows(page, "a/1 = one", "a/2 = <b>two</b>");
    await fetch(`${first.url}/v1/kv/a/2`, { method: "DELETE" });
    await shows(page, "a/1 = one");
    // That it was loaded anew could hide that it did not go on.
    await page.evaluate("window.isSame = true");
    await first.kill("SIGTERM");

    const second = await start(port, "data");
    await put(second, "a/3", "three");
    await shows(page, "a/1 = one", "a/3 = three");
    await second.kill("SIGKILL");

    const third = await start(port, "data");
    await fetch(`${third.url}/v1/kv/a/1`, { method: "DELETE" });
    await shows(page, "a/3 = three");
    expect(await page.evaluate<boolean>("window.isSame")).toBe(true);
    await third.kill("SIGTERM");

    // Another store under the same address, with fewer revisions, and then with more.
    const fourth = await start(port, "other");
    await put(fourth, "a/9", "nine");
    await shows(page, "a/9 = nine");
    await fourth.kill("SIGTERM");
    const fifth = await start(port, "third");
    for (let at = 0; at < 20; at++) await put(fifth, `a/${at % 2}`, String(at));
    await shows(page, "a/0 = 18", "a/1 = 19");
    await fifth.kill("SIGTERM");
  },
  60_000,
);

testWithTool(
  "chromium nginx",
  "the live list goes on behind nginx, which answers while the server is away",
  async () => {
    using directory = temporaryDirectory();
    await using site = servePage(PAGE);
    const flags = ["--allowed-origins", site.origin];
    const first = await startServerProcess({ directory: directory.path, flags });
    const { port } = first;
    await using proxy = await startNginx(NGINX_RECIPE, first.url);
    await using browser = await startChromium();
    await put(first, "a/1", "one");
    const page = await browser.open(`${site.origin}/?kv=${proxy.url}&prefix=a/`);
    await shows(page, "a/1 = one");
    await page.evaluate("events.addEventListener('open', () => (window.opened ??= 0, opened++))");
    await first.kill("SIGKILL");
    // It has come back, and more than once, to a server that is not there.
    await page.until("window.opened >= 2");
    const second = await startServerProcess({ directory: directory.path, port, flags });
    await put(second, "a/2", "two");
    await shows(page, "a/1 = one", "a/2 = two");
    await second.kill("SIGTERM");
  },
  60_000,
);

testWithTool(
  "chromium",
  "the live list shows nothing to an origin that is not allowed",
  async () => {
    using directory = temporaryDirectory();
    await using site = servePage(PAGE);
    await using browser = await startChromium();
    await using server = await startServerProcess({ directory: directory.path });
    await put(server, "a", "secret");
    for (const url of [
      `${site.origin}/?kv=${server.url}`,
      `data:text/html,${encodeURIComponent(PAGE.replaceAll("http://localhost:5000", server.url))}`,
    ]) {
      const page = await browser.open(url);
      await page.until("events.readyState === EventSource.CLOSED");
      expect(await page.evaluate<string>("list.textContent")).toBe("");
    }
  },
  60_000,
);
