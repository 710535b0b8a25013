/**
 * The least that Bun can do for the same requests, with no disk and no history: the yardstick of the
 * bench. `bun bare-server.ts PORT get KEYS`, `… publish`, `… stream URL`.
 */

import { keyOf, valueOf } from "./keys.ts";

const [port, mode, argument] = process.argv.slice(2) as [string, string, string];
const address = { hostname: "127.0.0.1", port: Number(port), development: false } as const;
const ready = (): Response => new Response();

switch (mode) {
  case "get":
    serveGet(Number(argument));
    break;
  case "publish":
    servePublish();
    break;
  case "stream":
    serveStream(await load(argument));
    break;
  default:
    throw new Error(`there is no ${mode}`);
}

// --- internal ---

/** Values out of a Map, with the headers that kv answers with. */
function serveGet(keys: number): void {
  const entries = new Map<string, { value: Uint8Array<ArrayBuffer>; init: ResponseInit }>();
  for (let number = 0; number < keys; number++) {
    const headers = {
      ETag: `"${number + 1}"`,
      "Content-Type": "text/plain; charset=utf-8",
      "Cache-Control": "no-cache",
      "X-Content-Type-Options": "nosniff",
    };
    const value = new TextEncoder().encode(valueOf(number));
    entries.set(keyOf(number), { value, init: { headers } });
  }
  Bun.serve({
    ...address,
    routes: {
      "/ready": ready,
      "/v1/kv/:key": {
        GET(request) {
          const entry = entries.get(request.params.key);
          if (entry === undefined) return new Response(null, { status: 404 });
          return new Response(entry.value, entry.init);
        },
      },
    },
  });
}

/** Each PUT as a frame to all who have connected, in the words of kv. */
function servePublish(): void {
  let revision = 0;
  const server = Bun.serve({
    ...address,
    routes: {
      "/ready": ready,
      "/v1/ws": (request, server) =>
        server.upgrade(request) ? undefined : new Response(null, { status: 400 }),
      "/v1/kv/:key": {
        async PUT(request) {
          const { key } = request.params;
          const value = await request.text();
          revision++;
          const numbers = `"revision":${revision},"createRevision":${revision},"version":1`;
          const type = "text/plain; charset=utf-8";
          server.publish(
            "all",
            `{"watch":1,"type":"change","revision":${revision},"events":[{"type":"put","key":"${key}","value":"${value}","contentType":"${type}",${numbers}}]}`,
          );
          return new Response(`{"key":"${key}",${numbers}}\n`);
        },
      },
    },
    websocket: {
      open: (socket) => void socket.subscribe("all"),
      message: (socket) => void socket.send('{"id":1,"type":"created","watch":1}'),
    },
  });
}

/** The pieces in which a stream of kv came. */
async function load(url: string): Promise<Uint8Array[]> {
  const answer = await fetch(url, { headers: { Accept: "application/x-ndjson" } });
  if (answer.status !== 200) throw new Error(`${url} answers ${answer.status}`);
  return await Array.fromAsync(answer.body!);
}

function serveStream(pieces: readonly Uint8Array[]): void {
  const headers = { "Content-Type": "application/x-ndjson" };
  const stream = (): ReadableStream => {
    let next = 0;
    return new ReadableStream({
      pull(controller) {
        if (next === pieces.length) controller.close();
        else controller.enqueue(pieces[next++]);
      },
    });
  };
  Bun.serve({
    ...address,
    routes: { "/ready": ready, "/v1/kv": () => new Response(stream(), { headers }) },
  });
}
