/** The least that Bun can do for the same requests: the yardstick of the benchmark. Prints its port. */

const value = new Uint8Array(100).fill(120);
const text = new TextEncoder();

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  routes: {
    "/v1/kv/:key": {
      GET: () => new Response(value, { headers: { "Content-Type": "text/plain" } }),
      PUT: async (request) => {
        const body = await request.bytes();
        return new Response(text.encode(`{"bytes":${body.length}}\n`));
      },
    },
  },
});

console.log(server.port);
