/**
 * Watchers that go on through restarts of the server: what each was told has to be the commits of
 * the ledger, one after the other, none twice and none left out.
 */

import { connect, KvError, type KvClient, type KvWatch } from "../../src/client/index.ts";
import { eventToJson, type JsonEvent } from "../../src/json.ts";
import type { SocketFrame } from "../../src/messages.ts";
import { startCuttingProxy, type CuttingProxy } from "../client/odd-server.ts";
import { Broken } from "../history/http-connection.ts";
import { SocketConnection, type CreatedBody } from "../history/socket-connection.ts";
import { digestOf, Fault, type Ledger } from "./ledger.ts";

/** What a watcher was told, held against the ledger. */
export class Told {
  /** Everything up to here has been told. */
  position: number;
  /** How often its history was gone. */
  resets = 0;
  /** Commits that were compared with those of the ledger. */
  compared = 0;
  readonly #name: string;
  #commits: { revision: number; digest: string }[] = [];
  #checked: number;

  constructor(name: string, position: number) {
    this.#name = name;
    this.position = position;
    this.#checked = position;
  }

  take(revision: number, events: readonly JsonEvent[]): void {
    if (revision <= this.position) {
      throw new Fault(`${this.#name} was told of ${revision} after ${this.position}`);
    }
    this.position = revision;
    this.#commits.push({ revision, digest: digestOf(events) });
  }

  /** Everything up to here has been told, the last of it nothing. */
  pass(revision: number): void {
    this.position = Math.max(this.position, revision);
  }

  /** History up to a revision was gone, and it begins anew there. */
  reset(revision: number): void {
    this.resets++;
    this.#commits = [];
    this.position = revision;
    this.#checked = revision;
  }

  /** Compares what it was told since the last time. */
  check(ledger: Ledger): void {
    const through = Math.min(this.position, ledger.through);
    const above = Math.max(this.#checked, ledger.unseen);
    const isDue = (commit: { revision: number }): boolean =>
      commit.revision > above && commit.revision <= through;
    const expected = ledger.commits.filter(isDue);
    const told = this.#commits.filter(isDue);
    this.compared += told.length;
    for (let at = 0; at < Math.max(told.length, expected.length); at++) {
      if (Bun.deepEquals(told[at], expected[at])) continue;
      throw new Fault(
        `${this.#name} was told ${JSON.stringify(told[at])} after ${this.#checked}, ` +
          `where the store has ${JSON.stringify(expected[at])}`,
      );
    }
    this.#commits = this.#commits.filter(({ revision }) => revision > through);
    this.#checked = Math.max(this.#checked, through);
  }
}

export interface Follower {
  readonly told: Told;
  /** There is another server now, at this port; resolves when it has begun there. */
  follow(port: number): Promise<void>;
  close(): Promise<void>;
  /** Rejects at the first thing that cannot be. */
  readonly failed: Promise<never>;
}

/** Over a WebSocket of its own, from where it stood. */
export class SocketFollower implements Follower {
  readonly told: Told;
  readonly #failed = Promise.withResolvers<never>();
  #connection: SocketConnection | undefined;
  #parts: JsonEvent[] = [];

  constructor(name: string, position: number) {
    this.told = new Told(name, position);
    this.#failed.promise.catch(() => {});
  }

  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  async follow(port: number): Promise<void> {
    await this.#connection?.ended;
    this.#connection = await SocketConnection.open(port, (frame) => this.#take(frame));
    await this.#begin(this.#connection);
  }

  async #begin(connection: SocketConnection): Promise<void> {
    this.#parts = [];
    const watch = { op: "watch", prefix: "" };
    const from = this.told.position + 1;
    const answer = (await connection.send({ ...watch, from })) as unknown as Answer;
    if (answer.type === "created") return;
    if (answer.error.code !== "compacted") throw new Fault(`a watch is ${answer.error.code}`);
    const created = (await connection.send(watch)) as CreatedBody;
    this.told.reset(created.revision);
  }

  async close(): Promise<void> {
    this.#connection?.close();
    await this.#connection?.ended;
  }

  /** The server has ended the watch. */
  async #again(reason: string): Promise<void> {
    try {
      if (reason !== "shutdown") await this.#begin(this.#connection!);
    } catch (error) {
      if (!(error instanceof Broken)) this.#failed.reject(error);
    }
  }

  #take(frame: SocketFrame): void {
    try {
      if (frame.type === "progress") this.told.pass(frame.revision);
      if (frame.type === "end") void this.#again(frame.reason);
      if (frame.type !== "change") return;
      this.#parts.push(...frame.events);
      if (frame.more === true) return;
      this.told.take(frame.revision, this.#parts);
      this.#parts = [];
    } catch (error) {
      this.#failed.reject(error);
    }
  }
}

/** By the SDK, which goes on by itself. */
export class SdkFollower implements Follower {
  readonly told: Told;
  readonly #failed = Promise.withResolvers<never>();
  readonly #proxy: CuttingProxy;
  readonly #client: KvClient;
  #watch: KvWatch | undefined;
  #taken: Promise<void> = Promise.resolve();

  private constructor(name: string, position: number, proxy: CuttingProxy) {
    this.told = new Told(name, position);
    this.#proxy = proxy;
    this.#client = connect(proxy.url);
    this.#failed.promise.catch(() => {});
  }

  /** `port` tells where the server is at the time. */
  static async open(name: string, position: number, port: () => number): Promise<SdkFollower> {
    return new SdkFollower(name, position, await startCuttingProxy(port));
  }

  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  follow(): Promise<void> {
    this.#proxy.cut();
    if (this.#watch === undefined) this.#begin(this.told.position + 1);
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#watch?.close();
    await this.#taken;
    await this.#client.close();
    await this.#proxy[Symbol.asyncDispose]();
  }

  #begin(from: number | undefined): void {
    this.#watch = this.#client.watch({ prefix: "" }, { from, waitForServer: true }) as KvWatch;
    this.#taken = this.#take(this.#watch, from === undefined);
    this.#taken.catch((error: unknown) => this.#failed.reject(error));
  }

  async #take(watch: KvWatch, isReset: boolean): Promise<void> {
    try {
      const { revision } = await watch.started;
      if (isReset) this.told.reset(revision);
      for await (const change of watch) {
        this.told.take(change.revision, change.events.map(eventToJson));
      }
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      // It was closed before it had begun.
      if (error.code === "unavailable") return;
      if (error.code !== "compacted") throw error;
      this.#begin(undefined);
    }
  }
}

// --- internal ---

type Answer = CreatedBody | { readonly type: "error"; readonly error: { readonly code: string } };
