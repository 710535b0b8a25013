/** A bare TCP connection to a server on this machine, which may have become a WebSocket. */

import { failed, upgradeAnswerBytes } from "./answers.ts";
import { upgradeRequest } from "./frames.ts";

export interface ConnectionOptions {
  readonly port: number;
  /** Has the connection become a WebSocket first, at this path. */
  readonly socketPath?: string;
  /** Gets what comes, as it comes. What it throws goes to `onFail`. */
  readonly onData: (chunk: Buffer) => void;
  /** Told of errors, and of an end that nobody asked for. */
  readonly onFail: (error: unknown) => void;
}

export interface Connection {
  /** @throws when the system does not take all of it at once. */
  write(bytes: Uint8Array): void;
  end(): void;
}

/** Resolves when requests can be sent. */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const { port, socketPath, onData, onFail } = options;
  const upgraded = Promise.withResolvers<void>();
  let head: Buffer | undefined = socketPath === undefined ? undefined : Buffer.alloc(0);
  let isEnded = false;
  const fail = (error: unknown): void => {
    if (isEnded) return;
    upgraded.reject(error);
    onFail(error);
  };
  const take = (chunk: Buffer): void => {
    if (head === undefined) return onData(chunk);
    head = Buffer.concat([head, chunk]);
    const size = upgradeAnswerBytes(head);
    if (size === undefined) return;
    if (size !== head.length) throw failed(head.subarray(size));
    head = undefined;
    upgraded.resolve();
  };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_, chunk) {
        try {
          take(chunk);
        } catch (error) {
          fail(error);
        }
      },
      close: () => fail(new Error("the server closed a connection")),
      error: (_, error) => fail(error),
    },
  });
  if (socketPath === undefined) upgraded.resolve();
  else socket.write(upgradeRequest(socketPath));
  await upgraded.promise;
  return {
    write(bytes) {
      // What is sent here is smaller than any buffer of a socket, and the only thing on its way.
      if (socket.write(bytes) !== bytes.length) throw new Error("a request was cut");
    },
    end() {
      isEnded = true;
      socket.end();
    },
  };
}
