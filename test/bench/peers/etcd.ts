/** One member of etcd, spoken to over its JSON gateway. */

import { flags, freePort, Peer } from "./peer.ts";

export function etcd(): Peer {
  return new Peer({
    name: "etcd",
    command: (port, directory) => {
      const client = `http://127.0.0.1:${port}`;
      const peer = `http://127.0.0.1:${freePort()}`;
      return [
        "etcd",
        ...flags({
          "data-dir": `${directory}/data`,
          name: "one",
          "listen-client-urls": client,
          "advertise-client-urls": client,
          "listen-peer-urls": peer,
          "initial-advertise-peer-urls": peer,
          "initial-cluster": `one=${peer}`,
          // Every put is kept until it is compacted: room for all that a run can put.
          "quota-backend-bytes": String(8 * 2 ** 30),
        }),
      ];
    },
    ready: async (port) => {
      const answer = await fetch(`http://127.0.0.1:${port}/health`);
      const { health } = (await answer.json()) as { health: unknown };
      if (String(health) !== "true") throw new Error("not ready");
    },
  });
}
