/**
 * A process that puts load on servers: takes jobs from the process that started it, one at a time,
 * and sends back what came of each.
 */

import { readdirSync } from "node:fs";
import { Batch, FIRST_BYTE, fixedAnswerBytes } from "./batches.ts";
import { delivery } from "./delivery.ts";
import { fanOut } from "./fan-out.ts";
import { fill } from "./fill.ts";
import { SOCKET_PATH } from "./frames.ts";
import type { JobName, Jobs, LoadResult } from "./jobs.ts";
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
const MERGE_LOOK_MS = 5;
/** Different messages. */
const BATCHES = 499;

async function requests(options: Jobs["requests"]["options"]): Promise<Jobs["requests"]["result"]> {
  const { plan, watchers = 0, withPuts = false, withLatencies = false, whileMerging } = options;
  const block = blockOf(plan);
  const puts = withPuts ? blockOf({ ...plan, operation: "put" }) : undefined;
  const blockAt = (n: number): RequestBlock => (n % 2 === 1 && puts !== undefined ? puts : block);
  const latencies: number[] = [];
  using merge = whileMerging === undefined ? undefined : watchMerges(whileMerging);
  const run = () =>
    load({
      port: options.port,
      connections: options.connections,
      milliseconds: options.milliseconds,
      request: (connection, n) => blockAt(n).request(connection, n),
      answerBytes: block.answerBytes,
      check: (answer, connection, n) => blockAt(n).check(answer, connection, n),
      ...(withLatencies && {
        onAnswer(_connection: number, n: number, milliseconds: number) {
          if (merge?.isRunning !== false && blockAt(n) === block) latencies.push(milliseconds);
        },
      }),
    });
  const result = watchers === 0 ? await run() : await withWatchers(options.port, watchers, run);
  return withLatencies ? { ...result, latencies: latencies.sort((a, b) => a - b) } : result;
}

/** The first of the watchers gets each of the writes, the others none but how far the store is. */
async function withWatchers(
  port: number,
  watchers: number,
  start: () => Promise<LoadResult>,
): Promise<LoadResult> {
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  using group = await openWatchers(
    {
      port,
      dialect: "kv",
      watchers,
      prefixOf: (watcher) => (watcher === 0 ? "key:" : `other-${watcher}/`),
    },
    { onMessages: () => undefined, onFail: failure.reject },
  );
  const result = await Promise.race([start(), failure.promise]);
  // The last deliveries may come after the last answer.
  const end = performance.now() + LATE_MS_MAX;
  const isMissing = (): boolean => group.counts()[0]! < result.answers;
  while (isMissing() && performance.now() < end) await Bun.sleep(1);
  if (isMissing()) throw new Error("a write was not delivered");
  return result;
}

/** Looks at what a data directory holds, now and then: a merge has a file of its own there. */
function watchMerges(directory: string): Disposable & { readonly isRunning: boolean } {
  let isRunning = false;
  const look = (): void => {
    isRunning = readdirSync(directory).some((name) => name.endsWith(".log.tmp"));
  };
  const timer = setInterval(look, MERGE_LOOK_MS);
  return {
    get isRunning() {
      return isRunning;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
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
