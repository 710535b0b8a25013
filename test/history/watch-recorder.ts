/** Records every commit of a server by watching it, across its restarts. */

import type { SocketFrame } from "../../src/messages.ts";
import { reconnect, type Target } from "./clients.ts";
import type { RecordedCommit, RecordedEvent } from "./history.ts";
import { Broken } from "./http-connection.ts";
import { SocketConnection } from "./socket-connection.ts";
import { timeOf } from "./wire.ts";

export class WatchRecorder implements AsyncDisposable {
  readonly commits: RecordedCommit[] = [];
  readonly #target: Target;
  /** Events of a commit whose last frame is yet to come. */
  #part: RecordedEvent[] = [];
  #through = 0;
  #waiting: { revision: number; resolve(): void } | undefined;
  #stopped = false;
  #connection: SocketConnection | undefined;
  readonly #running: Promise<void>;

  /** Begins at once. */
  constructor(target: Target) {
    this.#target = target;
    this.#running = this.#run();
    // Whoever waits for a revision, or for the end, is told.
    this.#running.catch(() => undefined);
  }

  /** Waits until everything up to a revision has been seen. */
  async reach(revision: number): Promise<void> {
    if (this.#through >= revision) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting = { revision, resolve };
    await Promise.race([promise, this.#running]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#connection?.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.#part = [];
      const connection = await reconnect(this.#target, (port) =>
        SocketConnection.open(port, (frame) => this.#take(frame)),
      );
      this.#connection = connection;
      try {
        const answer = await connection.send({ op: "watch", from: this.#through + 1 });
        if (answer.type !== "created") throw new Error(`no watch: ${JSON.stringify(answer)}`);
      } catch (error) {
        if (!(error instanceof Broken)) throw error;
      }
      await connection.ended;
    }
  }

  #take(frame: SocketFrame): void {
    if (frame.type === "progress") this.#reach(frame.revision);
    if (frame.type !== "change") return;
    const { revision, events, more } = frame;
    for (const event of events) {
      if (event.type !== "put") this.#part.push({ type: event.type, key: event.key });
      else {
        const { key, value, createRevision, version } = event;
        const expiresAt = timeOf(event.expiresAt);
        this.#part.push({ type: "put", key, value: value!, createRevision, version, expiresAt });
      }
    }
    if (more) return;
    this.commits.push({ revision, events: this.#part, seen: performance.now() });
    this.#part = [];
    this.#reach(revision);
  }

  #reach(revision: number): void {
    this.#through = revision;
    if (this.#waiting !== undefined && revision >= this.#waiting.revision) this.#waiting.resolve();
  }
}
