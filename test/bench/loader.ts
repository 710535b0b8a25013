/**
 * A process that puts load on servers: takes jobs from the process that started it, one at a time,
 * and sends back what came of each.
 */

import { Batch, FIRST_BYTE, fixedAnswerBytes } from "./batches.ts";
import { delivery } from "./delivery.ts";
import { fanOut } from "./fan-out.ts";
import { fill } from "./fill.ts";
import { SOCKET_PATH } from "./frames.ts";
import type { JobName, Jobs } from "./jobs.ts";
import { Picker } from "./keys.ts";
import { load } from "./load.ts";
import { RequestBlock } from "./requests.ts";
import { stream } from "./stream.ts";
import { openWatchers } from "./watchers.ts";

type Handlers = {
  [Name in JobName]: (options: Jobs[Name]["options"]) => Promise<Jobs[Name]["result"]>;
};

const handlers: Handlers = { requests, batches, fanOut, delivery, stream, fill };

process.on("message", async ({ name, options }: { name: JobName; options: never }) => {
  try {
    process.send!({ result: await handlers[name](options) });
  } catch (error) {
    process.send!({ error: error instanceof Error ? error.message : String(error) });
  }
});

// --- internal ---

/** Those of the plans in use: rounds alternate between two, and making one takes a while. */
const blocks = new Map<string, RequestBlock>();
const BLOCKS_MAX = 4;
/** For how long a delivery is waited for. */
const LATE_MS_MAX = 5_000;
/** Different messages. */
const BATCHES = 499;

async function requests(options: Jobs["requests"]["options"]): Promise<Jobs["requests"]["result"]> {
  const { plan, watchers = 0, withLatencies = false } = options;
  const block = blockOf(plan);
  const latencies: number[] = [];
  let delivered = 0;
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  using group = await openWatchers(
    {
      port: options.port,
      dialect: "kv",
      watchers,
      prefixOf: (watcher) => (watcher === 0 ? "key:" : `other-${watcher}/`),
    },
    { onMessages: (count) => void (delivered += count), onFail: failure.reject },
  );
  const run = load({
    port: options.port,
    connections: options.connections,
    milliseconds: options.milliseconds,
    request: (connection, n) => block.request(connection, n),
    answerBytes: block.answerBytes,
    check: (answer, connection, n) => block.check(answer, connection, n),
    ...(withLatencies && { onAnswer: (_c, _n, milliseconds) => void latencies.push(milliseconds) }),
  });
  const result = await Promise.race([run, failure.promise]);
  if (watchers > 0) await until(() => delivered >= result.answers);
  if (watchers > 0 && group.counts()[0] !== result.answers)
    throw new Error("not each was delivered");
  return withLatencies ? { ...result, latencies: latencies.sort((a, b) => a - b) } : result;
}

async function batches(options: Jobs["batches"]["options"]): Promise<Jobs["batches"]["result"]> {
  const { dialect, operation, keys, count, ...rest } = options;
  const picker = new Picker(keys, 42);
  const messages = Array.from({ length: BATCHES }, () => {
    const batch = new Batch(dialect, operation, count);
    for (let index = 0; index < count; index++) batch.setKey(index, picker.next());
    return batch;
  });
  const batchOf = (connection: number, n: number) => messages[(connection * 61 + n) % BATCHES]!;
  const result = await load({
    ...rest,
    ...(dialect === "kv" && { socketPath: SOCKET_PATH }),
    answerBytes: fixedAnswerBytes(messages[0]!.answerBytes, FIRST_BYTE[operation][dialect]),
    request: (connection, n) => batchOf(connection, n).bytes,
    check: (answer, connection, n) => batchOf(connection, n).check(answer),
  });
  return { ...result, answers: result.answers * count };
}

/** The last deliveries may come after the last answer. */
async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + LATE_MS_MAX;
  while (!holds() && performance.now() < end) await Bun.sleep(1);
}

function blockOf(plan: Jobs["requests"]["options"]["plan"]): RequestBlock {
  const name = JSON.stringify(plan);
  let block = blocks.get(name);
  if (block === undefined) {
    if (blocks.size >= BLOCKS_MAX) blocks.delete(blocks.keys().next().value!);
    block = new RequestBlock(plan);
    blocks.set(name, block);
  }
  return block;
}
