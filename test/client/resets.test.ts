/** Watches whose history is gone, or whose server has another store: an error, or with `initial` a reset. */

import { expect, test } from "bun:test";
import {
  connect,
  type KvFrame,
  type KvWatch,
  type WatchTransport,
} from "../../src/client/index.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import type { Store } from "../../src/kv.ts";
import { openModel } from "../support/model-store.ts";
import { del, put, write } from "../support/stores.ts";
import { expectFailure } from "./expect-failure.ts";

const TRANSPORTS: WatchTransport[] = ["websocket", "http"];

function serve(store: Store, port = 0): RunningServer {
  return startServer({ store, host: "127.0.0.1", port, progressMs: 10 });
}

/** The next `count` frames in short. */
async function take(watch: KvWatch<KvFrame>, count: number): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const { value } = await watch.next();
    if (value!.type === "state") seen.push(value!.entries.map(({ key }) => key).join("+"));
    else seen.push(`${value!.type} ${value!.revision}`);
  }
  return seen;
}

for (const transport of TRANSPORTS) {
  for (const revision of [0, 2, 3, 5, 1_000]) {
    test(`over ${transport}, another store at revision ${revision} ends a watch, or resets it`, async () => {
      const first = openModel({ revision: 3 });
      let server = serve(first);
      const { port } = server;
      await using kv = connect(server.url, { transport });
      const plain = kv.watch();
      const patient = kv.watch({}, { initial: true });
      await Promise.all([plain.started, patient.started]);
      await kv.put("k", "v");
      expect(await take(plain, 1)).toEqual(["change 4"]);
      expect((await take(patient, 2)).at(-1)).toBe("change 4");
      await server.stop();
      const other = openModel({ revision });
      // From 2 on, its revisions could be those that the watch waits for.
      await write(other, put("x"));
      await write(other, put("y"));
      server = serve(other, port);
      await expectFailure(plain.next(), "compacted");
      const at = revision + 2;
      expect(await take(patient, 1)).toEqual([`reset ${at}`]);
      expect(patient.revision).toBeUndefined();
      expect(await take(patient, 2)).toEqual(["x+y", `sync ${at}`]);
      expect(patient.revision).toBe(at);
      await write(other, del("x"));
      expect(await take(patient, 1)).toEqual([`change ${at + 1}`]);
      await kv.close();
      await server.stop();
    });
  }

  test(`over ${transport}, history that is compacted in a loss ends a watch, or resets it`, async () => {
    const store = openModel();
    let server = serve(store);
    const { port } = server;
    await using kv = connect(server.url, { transport });
    const plain = kv.watch();
    const patient = kv.watch({}, { initial: true });
    await Promise.all([plain.started, patient.started]);
    await kv.put("k", "v");
    await take(plain, 1);
    await take(patient, 2);
    await server.stop();
    for (let count = 0; count < 5; count++) await write(store, put("k", `${count}`));
    store.compact(4);
    server = serve(store, port);
    expect((await expectFailure(plain.next(), "compacted")).details.oldest).toBe(5);
    expect(await take(patient, 3)).toEqual(["reset 6", "k", "sync 6"]);
    expect(patient.revision).toBe(6);
    await kv.close();
    await server.stop();
  });
}
