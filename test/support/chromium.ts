/**
 * A headless Chromium of its own profile, driven by its DevTools protocol: opens pages and evaluates
 * expressions in them. Needs the tool `chromium`; see `testWithTool`.
 */

import { temporaryDirectory } from "./temporary.ts";

export interface Browser extends AsyncDisposable {
  /** A new page, once it is loaded. */
  open(url: string): Promise<Page>;
}

export interface Page {
  /** The value of an expression, which JSON can carry; a promise is awaited. */
  evaluate<T>(expression: string): Promise<T>;
  /** Waits, in the page, until an expression holds, also while it is loaded anew. */
  until(expression: string): Promise<void>;
}

export async function startChromium(): Promise<Browser> {
  const profile = temporaryDirectory();
  const child = Bun.spawn(
    ["chromium", ...FLAGS, `--user-data-dir=${profile.path}`, "about:blank"],
    {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    },
  );
  const connection = await connect(await debuggerUrl(child.stderr));
  return {
    async open(url) {
      const { targetId } = await connection.call("Target.createTarget", { url: "about:blank" });
      const attached = await connection.call("Target.attachToTarget", { targetId, flatten: true });
      const page = pageOf(connection, attached["sessionId"] as string);
      await connection.call("Page.enable", {}, attached["sessionId"] as string);
      await connection.call("Page.navigate", { url }, attached["sessionId"] as string);
      await page.until(`location.href !== "about:blank" && document.readyState === "complete"`);
      return page;
    },
    async [Symbol.asyncDispose]() {
      connection.end();
      child.kill("SIGKILL");
      await child.exited;
      profile.remove();
    },
  };
}

// --- internal ---

const FLAGS = [
  "--headless=new",
  "--remote-debugging-port=0",
  // The tests may run as root, in a container.
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--no-proxy-server",
];

type Result = Record<string, unknown>;

interface Connection {
  call(method: string, parameters: object, sessionId?: string): Promise<Result>;
  end(): void;
}

/** Where the browser listens, as it says on stderr. */
async function debuggerUrl(stderr: ReadableStream<Uint8Array>): Promise<string> {
  let output = "";
  const found = Promise.withResolvers<string>();
  // Read to its end, or the browser would wait for room to write.
  void (async () => {
    for await (const bytes of stderr) {
      if (output.length < 100_000) output += Buffer.from(bytes).toString("latin1");
      const url = /DevTools listening on (ws:\/\/\S+)/.exec(output)?.[1];
      if (url !== undefined) found.resolve(url);
    }
    found.reject(new Error(`chromium has ended:\n${output}`));
  })();
  return found.promise;
}

function connect(url: string): Promise<Connection> {
  const waiting = new Map<number, PromiseWithResolvers<Result>>();
  const socket = new WebSocket(url);
  let lastId = 0;
  const connection: Connection = {
    call(method, params, sessionId) {
      const id = ++lastId;
      const answer = Promise.withResolvers<Result>();
      waiting.set(id, answer);
      socket.send(JSON.stringify({ id, method, params, sessionId }));
      return answer.promise;
    },
    end: () => socket.close(),
  };
  const { promise, resolve, reject } = Promise.withResolvers<Connection>();
  socket.addEventListener("open", () => resolve(connection));
  socket.addEventListener("close", () => {
    const gone = new Error("chromium has closed the connection");
    for (const answer of waiting.values()) answer.reject(gone);
    reject(gone);
  });
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data as string) as { id?: number; result?: Result; error?: object };
    const answer = waiting.get(message.id ?? 0);
    waiting.delete(message.id ?? 0);
    if (message.error === undefined) answer?.resolve(message.result ?? {});
    else answer?.reject(new Error(JSON.stringify(message.error)));
  });
  return promise;
}

function pageOf(connection: Connection, sessionId: string): Page {
  const evaluate = async <T>(expression: string): Promise<T> => {
    const parameters = { expression, awaitPromise: true, returnByValue: true };
    const answer = await connection.call("Runtime.evaluate", parameters, sessionId);
    const { result, exceptionDetails } = answer as {
      result: { value: T };
      exceptionDetails?: object;
    };
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return result.value;
  };
  return {
    evaluate,
    async until(expression) {
      while (!(await evaluate<boolean>(`Boolean(${expression})`).catch(notWhileLoading))) {
        await Bun.sleep(10);
      }
    },
  };
}

/** A page that loads itself anew takes what is evaluated just then with it. @throws other errors. */
function notWhileLoading(error: Error): boolean {
  if (/Inspected target navigated or closed|context was destroyed/.test(error.message))
    return false;
  throw error;
}
