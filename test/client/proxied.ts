/** Run as a process of its own by a test: reads, writes and watches at the address it is given. */

import { connect } from "../../src/client/index.ts";

const kv = connect(process.argv[2]);
const watch = kv.watch({ key: "k" });
await watch.started;
await kv.put("k", "small");
await kv.put("k", new Uint8Array(100_000));
const entry = await kv.get("k");
const { value } = await watch.next();
console.log(`${entry?.version} ${value?.events.length}`);
await kv.close();
