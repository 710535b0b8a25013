/** A job of a loader: takes one streamed answer, as fast as it comes. */

import { failed } from "./answers.ts";
import { ChunkCounter } from "./chunks.ts";
import { openConnection } from "./connection.ts";
import type { StreamOptions, StreamResult } from "./jobs.ts";

/** @throws when the stream ends early, or has not as many lines as it should. */
export async function stream({ port, path, lines }: StreamOptions): Promise<StreamResult> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => {});
  const counter = new ChunkCounter(lines !== undefined);
  let head: Buffer | undefined = Buffer.alloc(0);
  const connection = await openConnection({
    port,
    onFail: reject,
    onData(chunk) {
      let body = chunk;
      if (head !== undefined) {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf("\r\n\r\n");
        if (end === -1) return;
        if (!head.toString("latin1", 0, end).startsWith("HTTP/1.1 200 ")) throw failed(head);
        body = head.subarray(end + 4);
        head = undefined;
      }
      counter.push(body);
      if (counter.isComplete) resolve();
    },
  });
  const began = performance.now();
  const processor = process.cpuUsage();
  const accept = "Accept: application/x-ndjson\r\n";
  connection.write(Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${accept}\r\n`));
  await promise;
  const milliseconds = performance.now() - began;
  const { user, system } = process.cpuUsage(processor);
  connection.end();
  if (lines !== undefined && counter.lines < lines) {
    throw new Error(`${counter.lines} lines came of ${lines}`);
  }
  return { bytes: counter.bytes, milliseconds, processorMs: (user + system) / 1_000 };
}
