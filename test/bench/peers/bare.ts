/** The least that Bun can do for the same requests, as a process of its own. */

import { join } from "node:path";
import { Peer } from "./peer.ts";

/** `mode` is one of those of `bare-server.ts`, with what it takes. */
export function bare(mode: "get" | "publish" | "stream", argument: string): Peer {
  return new Peer({
    name: "the bare route",
    command: (port) => [
      process.execPath,
      join(import.meta.dir, "../bare-server.ts"),
      String(port),
      mode,
      argument,
    ],
    ready: async (port) => {
      const answer = await fetch(`http://127.0.0.1:${port}/ready`);
      if (answer.status !== 200) throw new Error("not ready");
    },
  });
}
