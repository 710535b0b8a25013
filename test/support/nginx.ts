/**
 * An nginx in front of a server: in the foreground, in a directory of its own, with the settings that
 * Debian ships and one server on a port of its own. Needs the tool `nginx`; see `testWithTool`.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "./temporary.ts";

export interface Proxy extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

/** The settings that the documents recommend, as they stand there. */
export const NGINX_RECIPE = /^```nginx\n([^]*?)^```$/m.exec(
  readFileSync(join(import.meta.dir, "../../docs/nginx.md"), "utf8"),
)![1]!;

/** What stands in a configuration for the address of the server behind it. */
const UPSTREAM = "http://127.0.0.1:5000";

/**
 * Starts it with `locations` in its `server` block, in which the address of a server on the default
 * port becomes `upstream`.
 */
export async function startNginx(locations: string, upstream: string): Promise<Proxy> {
  const prefix = temporaryDirectory();
  if (!locations.includes(UPSTREAM)) throw new Error(`the configuration has no ${UPSTREAM}`);
  const own = locations.replaceAll(UPSTREAM, upstream);
  for (const name of ["body", "proxy"]) mkdirSync(join(prefix.path, name));
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    writeFileSync(join(prefix.path, "nginx.conf"), configuration(port, own));
    const child = Bun.spawn(["nginx", "-p", prefix.path, "-c", "nginx.conf"], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const output = new Response(child.stderr).text();
    const isUp = await Promise.race([answers(port), child.exited.then(() => false)]);
    if (isUp) {
      const end = async (): Promise<void> => {
        child.kill("SIGTERM");
        await child.exited;
        prefix.remove();
      };
      return { url: `http://127.0.0.1:${port}`, port, [Symbol.asyncDispose]: end };
    }
    // Somebody else may have got the port in the meantime.
    if (attempt < 5 && (await output).includes("Address already in use")) continue;
    prefix.remove();
    throw new Error(`nginx does not start:\n${await output}`);
  }
}

// --- internal ---

/** Debian's own settings, where they say anything about answers; but files stay in the prefix. */
function configuration(port: number, locations: string): string {
  return `
${process.getuid!() === 0 ? "user root;" : ""}
worker_processes 1;
daemon off;
pid nginx.pid;
error_log stderr;
events { worker_connections 768; }
http {
  sendfile on;
  tcp_nopush on;
  types_hash_max_size 2048;
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  gzip on;
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:${port};
    ${locations}
  }
}
`;
}

async function freePort(): Promise<number> {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
  const { port } = server;
  server.stop(true);
  return port;
}

/** Resolves once a connection is taken; never where none is. */
async function answers(port: number): Promise<boolean> {
  for (;;) {
    try {
      const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data: () => {} } });
      socket.end();
      return true;
    } catch {
      await Bun.sleep(5);
    }
  }
}
