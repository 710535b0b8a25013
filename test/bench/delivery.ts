/**
 * A job of a loader: writes at a steady rate, whether or not the server keeps up, and how long each of
 * them takes from the moment at which it was due until a watcher has it.
 */

import { httpAnswerBytes } from "./answers.ts";
import { openConnection, type Connection } from "./connection.ts";
import type { DeliveryOptions, LoadResult } from "./jobs.ts";
import { keyOf, numberAt } from "./keys.ts";
import { openWatchers, publishing } from "./watchers.ts";

export async function delivery(options: DeliveryOptions): Promise<LoadResult> {
  const { port, keys, perSecond } = options;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => {});
  const idle: Connection[] = [];
  /** When the newest write of each key was due; between two of one key there are all others. */
  const due = new Float64Array(keys);
  const latencies: number[] = [];
  let wanted = 0;
  let sent = 0;
  let isOver = false;
  const pump = (): void => {
    while (sent < wanted && idle.length > 0) {
      const number = sent++ % keys;
      idle.pop()!.write(publishing("kv", keyOf(number), number));
    }
    if (isOver && latencies.length === wanted) resolve();
  };
  using _group = await openWatchers(
    { port, dialect: "kv", watchers: 1 },
    {
      onMessages: () => {},
      onFail: reject,
      onText(text) {
        const at = text.indexOf('"key":"');
        // The first is the one that says that the watch has begun.
        if (at === -1) return;
        latencies.push(performance.now() - due[numberAt(text, at + 7)]!);
        pump();
      },
    },
  );
  const openWriter = async (): Promise<Connection> => {
    const writer = await openConnection({
      port,
      onFail: reject,
      onData(chunk) {
        // Answers to a put are short: one that came in pieces would be a failure here.
        if (httpAnswerBytes(chunk) !== chunk.length) throw new Error("an answer in pieces");
        idle.push(writer);
        pump();
      },
    });
    return writer;
  };
  const writers = await Promise.all(Array.from({ length: options.connections }, openWriter));
  idle.push(...writers);
  const began = performance.now();
  const processor = process.cpuUsage();
  const timer = setInterval(() => {
    const now = performance.now();
    if (now - began >= options.milliseconds) {
      isOver = true;
      clearInterval(timer);
      return pump();
    }
    const until = Math.floor(((now - began) * perSecond) / 1_000);
    for (; wanted < until; wanted++) due[wanted % keys] = now;
    pump();
  }, 1);
  try {
    await promise;
  } finally {
    clearInterval(timer);
    for (const writer of writers) writer.end();
  }
  const { user, system } = process.cpuUsage(processor);
  return {
    answers: latencies.length,
    milliseconds: performance.now() - began,
    processorMs: (user + system) / 1_000,
    latencies: latencies.sort((a, b) => a - b),
  };
}
