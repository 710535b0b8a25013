/**
 * The least that Bun can do for the same requests, with no disk and no history: the yardstick of the
 * bench. `bun bare-server.ts PORT get KEYS`.
 */

import { keyOf, valueOf } from "./keys.ts";

const [port, mode, argument] = process.argv.slice(2) as [string, string, string];
const address = { hostname: "127.0.0.1", port: Number(port), development: false } as const;
const ready = (): Response => new Response();

switch (mode) {
  case "get":
    serveGet(Number(argument));
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
