/** A WebSocket for a load: it is opened or fails, and says once when it is lost. */

import type { ServerUrl } from "../client/url.ts";
import { KvError } from "../errors.ts";
import { PATHS, SUBPROTOCOL } from "../protocol.ts";

export interface OpenSocket {
  send(message: string | Uint8Array<ArrayBuffer>): void;
  /** Nothing is received any more, and nothing is told. */
  close(): void;
}

/**
 * Opens a WebSocket of kv. A message that `receive` throws at ends the connection.
 * @throws `unavailable`.
 */
export function openSocket(
  url: ServerUrl,
  receive: (data: string | ArrayBuffer) => void,
  lost: (error: KvError) => void,
): Promise<OpenSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<OpenSocket>();
  const socket = new WebSocket(`${url.socket}${PATHS.socket}`, [SUBPROTOCOL]);
  socket.binaryType = "arraybuffer";
  let isOpen = false;
  let isOver = false;
  const end = (error: KvError): void => {
    if (isOver) return;
    isOver = true;
    if (isOpen) lost(error);
    else reject(error);
  };
  socket.onopen = () => {
    isOpen = true;
    resolve({
      send: (message) => void socket.send(message),
      close() {
        isOver = true;
        socket.close();
      },
    });
  };
  // The close that follows says what there is to say.
  socket.onerror = () => {};
  socket.onclose = ({ code, reason }) => {
    const why = reason === "" ? `code ${code}` : `code ${code}, ${reason}`;
    end(new KvError("unavailable", `the WebSocket to ${url.http} was closed (${why})`));
  };
  socket.onmessage = ({ data }) => {
    if (isOver) return;
    try {
      receive(data as string | ArrayBuffer);
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      end(new KvError("internal", `${url.http} answered with ${what}`));
      socket.close();
    }
  };
  return promise;
}
