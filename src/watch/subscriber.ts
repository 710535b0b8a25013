/**
 * What the hub needs of a transport with topics: a connection that frames can be sent to, and a way
 * to publish one frame to all connections on a topic. Each transport implements both.
 */

import type { Frame, Transport } from "./frames.ts";

/** One connection. */
export interface Subscriber {
  readonly transport: Transport;
  /** Sends a frame to this connection alone, behind everything sent or published to it before. */
  send(frame: Frame): void;
  /** Runs what sends several frames to this connection, so that they can leave in one piece. */
  together(run: () => void): void;
  /** Bytes handed over for this connection that have not left the process yet. */
  unsentBytes(): number;
  /** From the return on, what is published on the topic goes to this connection. */
  subscribe(topic: string): void;
  /** From the return on, nothing published on the topic goes to this connection. */
  unsubscribe(topic: string): void;
  /** A watch cannot be served on for a reason that no frame has; the connection should break. */
  fail(error: unknown): void;
}

export interface Publisher {
  /** Sends a frame to every connection that is subscribed to the topic. */
  publish(topic: string, frame: Frame): void;
}
