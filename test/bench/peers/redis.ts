/** Redis as users run it, in one thread; without rewriting its files, which would cost it time. */

import { flags, Peer } from "./peer.ts";

export interface RedisOptions {
  /** `always`: an fsync before each answer. `none`: no log at all. */
  readonly appendfsync: "always" | "none";
}

export function redis({ appendfsync }: RedisOptions): Peer {
  const log: Record<string, string> =
    appendfsync === "none" ? { appendonly: "no" } : { appendonly: "yes", appendfsync };
  return new Peer({
    name: "redis-server",
    command: (port, directory) => [
      "redis-server",
      ...flags({ bind: "127.0.0.1", port: String(port), dir: directory }),
      ...flags({ save: "", "auto-aof-rewrite-percentage": "0", ...log }),
    ],
    ready: async (port) => {
      if ((await ask(port, "PING")) !== "+PONG") throw new Error("not ready");
    },
  });
}

/** The first line that Redis answers to a command. */
export async function ask(port: number, command: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_, chunk) {
        text += chunk.toString();
        const end = text.indexOf("\r\n");
        if (end !== -1) resolve(text.slice(0, end));
      },
      close: () => reject(new Error("closed")),
      error: (_, error) => reject(error),
    },
  });
  socket.write(`${command}\r\n`);
  try {
    return await promise;
  } finally {
    socket.end();
  }
}
