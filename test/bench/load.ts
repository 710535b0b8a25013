/**
 * Closed-loop load over plain TCP: each connection sends a request, waits for the whole answer, and
 * sends the next one. Cheaper than `fetch`, so that less of the machine goes to the one who measures.
 */

const HEAD_END = Buffer.from("\r\n\r\n");

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly milliseconds: number;
  /** The bytes of the request number `n` of a connection. */
  readonly request: (connection: number, n: number) => Uint8Array;
  /** Told how many milliseconds each of these requests took. */
  readonly onAnswer?: (connection: number, n: number, milliseconds: number) => void;
}

/** Answers a second. Throws on any answer that is no success. */
export async function measure(options: LoadOptions): Promise<number> {
  const began = performance.now();
  const until = began + options.milliseconds;
  const counts = await Promise.all(
    Array.from({ length: options.connections }, (_, index) => drive(options, index, until)),
  );
  const answers = counts.reduce((sum, count) => sum + count, 0);
  return (answers * 1_000) / (performance.now() - began);
}

/** The bytes of one HTTP/1.1 request. */
export function requestBytes(method: string, path: string, body?: string): Uint8Array {
  const length = body === undefined ? "" : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  return Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${length}\r\n${body ?? ""}`);
}

// --- internal ---

async function drive(options: LoadOptions, connection: number, until: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let answered = 0;
  let pending: Buffer = Buffer.alloc(0);
  let sent = performance.now();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: options.port,
    socket: {
      data(socket, chunk) {
        pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
        const bytes = answerBytes(pending);
        if (bytes === undefined || pending.length < bytes) return;
        if (pending[9] !== 0x32) return reject(new Error(pending.toString("utf8", 0, 200)));
        pending = Buffer.alloc(0);
        const now = performance.now();
        options.onAnswer?.(connection, answered, now - sent);
        answered++;
        if (now >= until) return resolve(answered);
        sent = now;
        socket.write(options.request(connection, answered));
      },
      close: () => reject(new Error("the server closed the connection")),
      error: (_, error) => reject(error),
    },
  });
  socket.write(options.request(connection, 0));
  try {
    return await promise;
  } finally {
    socket.end();
  }
}

/** Bytes of the answer that `bytes` begins with, once its head is there; it has a Content-Length. */
function answerBytes(bytes: Buffer): number | undefined {
  const end = bytes.indexOf(HEAD_END);
  if (end === -1) return undefined;
  const head = bytes.toString("latin1", 0, end);
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  if (length === undefined) throw new Error(`an answer without Content-Length:\n${head}`);
  return end + HEAD_END.length + Number(length);
}
