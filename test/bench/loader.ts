/**
 * A process that puts load on servers: takes jobs from the process that started it, one at a time,
 * and sends back what came of each.
 */

import { fill } from "./fill.ts";
import type { JobName, Jobs } from "./jobs.ts";
import { load } from "./load.ts";
import { RequestBlock } from "./requests.ts";

type Handlers = {
  [Name in JobName]: (options: Jobs[Name]["options"]) => Promise<Jobs[Name]["result"]>;
};

const handlers: Handlers = { requests, fill };

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

async function requests(options: Jobs["requests"]["options"]): Promise<Jobs["requests"]["result"]> {
  const { plan, withLatencies = false } = options;
  const block = blockOf(plan);
  const latencies: number[] = [];
  const result = await load({
    port: options.port,
    connections: options.connections,
    milliseconds: options.milliseconds,
    request: (connection, n) => block.request(connection, n),
    answerBytes: block.answerBytes,
    check: (answer, connection, n) => block.check(answer, connection, n),
    ...(withLatencies && { onAnswer: (_c, _n, milliseconds) => void latencies.push(milliseconds) }),
  });
  return withLatencies ? { ...result, latencies: latencies.sort((a, b) => a - b) } : result;
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
