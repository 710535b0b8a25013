/** A site of its own origin that serves one HTML page, whatever is asked for. */

export interface PageServer extends AsyncDisposable {
  readonly origin: string;
}

export function servePage(html: string): PageServer {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    fetch: () => new Response(html, { headers: { "Content-Type": "text/html" } }),
  });
  return {
    origin: `http://127.0.0.1:${server.port}`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
