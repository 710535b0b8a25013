/** The SDK in a browser, on a page of another origin: every kind of call, and watches both ways. */

import { expect } from "bun:test";
import { join } from "node:path";
import { startServer } from "../../src/http/server.ts";
import { startChromium, type Browser, type Page } from "../support/chromium.ts";
import { openModel } from "../support/model-store.ts";
import { testWithTool } from "../support/needs.ts";
import { servePage, type PageServer } from "../support/page-server.ts";
import { changesBetween, put, write } from "../support/stores.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { startCuttingProxy } from "./odd-server.ts";

/** A page with the SDK, as a bundler for browsers makes it, as `sdk`. */
async function pageWithSdk(): Promise<string> {
  using directory = temporaryDirectory();
  const entry = join(directory.path, "entry.ts");
  const sdk = JSON.stringify(join(import.meta.dir, "../../src/client/index.ts"));
  await Bun.write(entry, `import * as sdk from ${sdk};\nObject.assign(window, { sdk });\n`);
  const built = await Bun.build({ entrypoints: [entry], target: "browser", minify: true });
  const [script] = built.outputs;
  return `<!doctype html><script type="module">${await script!.text()}</script>`;
}

/** The value of a script with `await` and `return`, and with `kv` for a client of `url`. */
function run<T>(page: Page, url: string, script: string): Promise<T> {
  const connected = `const kv = window.kv ??= sdk.connect(${JSON.stringify(url)});`;
  return page.evaluate<T>(`(async () => { ${connected} ${script} })()`);
}

async function openSdk(browser: Browser, site: PageServer): Promise<Page> {
  const page = await browser.open(site.origin);
  await page.until("window.sdk !== undefined");
  return page;
}

const CALLS = `
  const bytes = Uint8Array.from({ length: 300 }, (_, index) => index & 255);
  await kv.put("a/text", "grüße");
  await kv.put("a/bytes", bytes);
  const blob = new Blob([new Uint8Array(100_000)], { type: "image/png" });
  const large = await kv.put("a/large", blob, { ttl: "1h" });
  const text = (await kv.get("a/text")).text();
  const same = (await kv.get("a/bytes")).bytes.every((byte, index) => byte === (index & 255));
  const listed = (await Array.fromAsync(kv.list({ prefix: "a/" }))).map(({ key }) => key);
  const { succeeded } = await kv.txn({ checks: [{ key: "a/text", revision: 0 }] });
  const refused = await kv.put("a/large", blob, { ifRevision: 1 }).catch((error) => error);
  const sum = String((await kv.incr("n", 2n ** 62n)).value);
  const touched = (await kv.touch("a/text", "1h")).expiresAt > Date.now();
  const waiting = kv.wait("new", { timeoutMs: 5_000 });
  await kv.put("new", "there");
  const waited = (await waiting).text();
  const versions = (await Array.fromAsync(kv.history("a/text"))).map(({ version }) => version);
  const { deleted } = await kv.deleteRange({ prefix: "a/" });
  const absent = (await kv.get("a/text")) === undefined;
  const found = refused.details.revision === large.revision;
  return {
    text, same, listed, succeeded, code: refused.code, found, expires: large.expiresAt > Date.now(),
    sum, touched, waited, versions, deleted, absent,
  };
`;

/** Keeps the events of a watch in \`seen\`, and what else it brings in \`others\`. */
function follow(transport: string): string {
  return `
    const client = sdk.connect(kv.url, { transport: ${JSON.stringify(transport)} });
    Object.assign(window, { seen: [], others: [], controller: new AbortController() });
    const { signal } = controller;
    const watch = client.watch([{ prefix: "w/" }], { initial: true, prev: true, signal });
    window.ended = (async () => {
      for await (const frame of watch) {
        if (frame.type !== "change") others.push(frame.type);
        else for (const { type, key, revision, prev } of frame.events) {
          seen.push([type, key, revision, prev?.revision ?? 0].join(" "));
        }
      }
    })();
    return watch.started;
  `;
}

testWithTool(
  "chromium",
  "everything works on a page of an allowed origin, through losses",
  async () => {
    await using site = servePage(await pageWithSdk());
    const store = openModel();
    const allowedOrigins = [site.origin];
    const server = startServer({
      store,
      host: "127.0.0.1",
      port: 0,
      allowedOrigins,
      progressMs: 10,
    });
    await using proxy = await startCuttingProxy(server.port);
    await using browser = await startChromium();
    const page = await openSdk(browser, site);
    expect(await run<unknown>(page, proxy.url, CALLS)).toEqual({
      text: "grüße",
      same: true,
      listed: ["a/bytes", "a/large", "a/text"],
      succeeded: false,
      code: "precondition_failed",
      found: true,
      expires: true,
      sum: String(2n ** 62n),
      touched: true,
      waited: "there",
      versions: [2, 1],
      deleted: 3,
      absent: true,
    });
    for (const transport of ["websocket", "http"]) {
      await write(store, put("w/0", "there"));
      const start = await run<{ revision: number }>(page, proxy.url, follow(transport));
      for (let round = 0; round < 3; round++) {
        for (let count = 0; count < 20; count++)
          await write(store, put(`w/${count % 3}`, "x"), put("v"));
        const { revision } = store.status();
        await page.until(`seen.at(-1)?.includes(" ${revision} ")`);
        proxy.cut();
      }
      const { revision } = store.status();
      const range = { prefix: "w/" };
      const commits = await changesBetween(store, start.revision + 1, revision, {
        range,
        prev: true,
      });
      const expected = commits.flatMap(({ events }) =>
        events.map(
          (event) => `${event.type} ${event.key} ${event.revision} ${event.prev?.revision ?? 0}`,
        ),
      );
      expect(await page.evaluate<string[]>("seen")).toEqual(expected);
      expect(await page.evaluate<string[]>("others")).toEqual(["state", "sync"]);
      await page.evaluate("controller.abort(); ended");
    }
    await server.stop();
  },
  60_000,
);

testWithTool(
  "chromium",
  "on a page of an origin that is not allowed nothing works, and it is said so",
  async () => {
    await using site = servePage(await pageWithSdk());
    const server = startServer({ store: openModel(), host: "127.0.0.1", port: 0 });
    await using browser = await startChromium();
    const page = await openSdk(browser, site);
    const script = `
    const codes = [];
    const note = (call) => call.catch(({ code }) => codes.push(code));
    await note(kv.get("k"));
    await note(kv.watch().next());
    await note(sdk.connect(kv.url, { transport: "http" }).watch().next());
    return codes;
  `;
    expect(await run<string[]>(page, server.url, script)).toEqual([
      "unavailable",
      "unavailable",
      "unavailable",
    ]);
    await server.stop();
  },
  60_000,
);
