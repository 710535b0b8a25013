/** NATS as it is by default: core messages, nothing is kept. */

import { ask } from "./ask.ts";
import { flags, Peer } from "./peer.ts";

export function nats(): Peer {
  return new Peer({
    name: "nats-server",
    command: (port) => ["nats-server", ...flags({ addr: "127.0.0.1", port: String(port) })],
    ready: async (port) => {
      if (!(await ask(port, "PING")).startsWith("INFO")) throw new Error("not ready");
    },
  });
}
