/**
 * Jobs of a loader with watchers: writes that each of them is to get. No more than `WINDOW` writes
 * are on their way to the watchers at a time, so that nobody has to drop or to catch up.
 */

import { httpAnswerBytes } from "./answers.ts";
import { openConnection, type Connection } from "./connection.ts";
import type { FanOutOptions, LoadResult } from "./jobs.ts";
import { keyOf, Picker } from "./keys.ts";
import { openWatchers, publishing } from "./watchers.ts";

/** Deliveries, summed over all watchers. Throws when any of them misses one. */
export async function fanOut(options: FanOutOptions): Promise<LoadResult> {
  const { dialect, watchers } = options;
  const picker = new Picker(options.keys, 42);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => {});
  const idle: Connection[] = [];
  let sent = 0;
  let delivered = 0;
  let until = 0;
  const pump = (): void => {
    if (performance.now() >= until) {
      if (delivered === sent * watchers) resolve();
      return;
    }
    while (idle.length > 0 && sent - delivered / watchers < WINDOW) {
      const writer = idle.pop()!;
      const number = picker.next();
      sent++;
      writer.write(publishing(dialect, keyOf(number), number));
      // Whoever publishes to NATS is told nothing.
      if (dialect === "nats") idle.push(writer);
    }
  };
  using group = await openWatchers(options, {
    onMessages(count) {
      delivered += count;
      pump();
    },
    onFail: reject,
  });
  const openWriter = async (): Promise<Connection> => {
    let pending = Buffer.alloc(0);
    const writer = await openConnection({
      port: options.port,
      onFail: reject,
      onData(chunk) {
        if (dialect === "nats") return;
        pending = Buffer.concat([pending, chunk]);
        if (httpAnswerBytes(pending) === undefined) return;
        pending = Buffer.alloc(0);
        idle.push(writer);
        pump();
      },
    });
    return writer;
  };
  const count = dialect === "nats" ? 1 : options.connections;
  const writers = await Promise.all(Array.from({ length: count }, openWriter));
  const began = performance.now();
  const processor = process.cpuUsage();
  until = began + options.milliseconds;
  idle.push(...writers);
  pump();
  await promise;
  const milliseconds = performance.now() - began;
  const { user, system } = process.cpuUsage(processor);
  for (const writer of writers) writer.end();
  if (group.counts().some((count) => count !== sent)) throw new Error("a watcher missed a write");
  return { answers: delivered, milliseconds, processorMs: (user + system) / 1_000 };
}

// --- internal ---

/** Writes. Deep enough to keep a server busy. */
const WINDOW = 64;
