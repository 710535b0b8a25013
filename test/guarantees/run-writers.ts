/**
 * Clients of a run that write: small and large values, several keys at once, keys that live for
 * some milliseconds only.
 */

import type { JsonOperation, JsonResult } from "../../src/json.ts";
import { SocketConnection } from "../history/socket-connection.ts";
import type { Random } from "../support/random.ts";
import { KEYS, MANY } from "./filters.ts";
import type { RunServer } from "./run-server.ts";

/** A change that was answered: the log must have it. */
export interface AnsweredWrite {
  readonly key: string;
  readonly revision: number;
}

export class RunWriter {
  readonly answered: AnsweredWrite[] = [];
  readonly #server: RunServer;
  readonly #random: Random;
  #connection: Promise<SocketConnection> | undefined;
  #stopped = false;

  constructor(server: RunServer, random: Random) {
    this.#server = server;
    this.#random = random;
  }

  /** Writes until it is stopped, across restarts of the server. */
  async run(): Promise<void> {
    const { below, oneIn } = this.#random;
    while (!this.#stopped) {
      const count = 1 + below(4);
      await Promise.all(Array.from({ length: count }, () => this.write(this.#operations())));
      await Bun.sleep(oneIn(10) ? below(100) : below(15));
    }
    (await this.#connection)?.close();
  }

  /**
   * Writes more to these keys than fits between the server and a reader that stalls; several of them
   * in commits that come in parts.
   */
  async flood(keys: readonly string[]): Promise<void> {
    const put = () => {
      const value = this.#text(FLOOD_VALUE_BYTES);
      return this.write(keys.map((key) => ({ op: "put", key, value })));
    };
    await Promise.all(Array.from({ length: FLOOD_VALUES / keys.length }, put));
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Resolves with the revision of the answer; `undefined` where none came. */
  async write(then: readonly JsonOperation[]): Promise<number | undefined> {
    const connection = await this.#connect();
    const answer = await connection.send({ op: "txn", then }).catch(() => undefined);
    if (answer?.type !== "result") return undefined;
    const { revision, results } = answer as unknown as { revision: number; results: JsonResult[] };
    this.#server.truth.known.note(revision, performance.now());
    for (const [at, result] of results.entries()) {
      const { op, key } = then[at] as { op: string; key: string };
      // Of several changes of a key the last one counts, and a change that is undone is at 0.
      const isLast = !then.slice(at + 1).some((later) => "key" in later && later.key === key);
      const isAlone = isLast && !then.some((one) => one.op === "deleteRange");
      if (op === "put" && isAlone && "revision" in result) this.answered.push({ key, revision });
    }
    return revision;
  }

  async #connect(): Promise<SocketConnection> {
    const current = this.#connection;
    if ((await current)?.closed === false) return current!;
    // Somebody else may have seen it before.
    if (this.#connection === current) this.#connection = this.#server.connect(openSocket);
    return await this.#connection!;
  }

  #operations(): JsonOperation[] {
    const { below, oneIn } = this.#random;
    if (oneIn(50)) return this.#parts();
    if (oneIn(50)) return this.#many();
    const count = oneIn(3) ? 2 + below(5) : 1;
    return Array.from({ length: count }, () => this.#operation(below(60)));
  }

  /** What makes more than one frame, for a watcher of several keys; at times one of them does. */
  #parts(): JsonOperation[] {
    const { below, oneIn } = this.#random;
    const bytes = oneIn(4) ? 300_000 : 20_000 + below(80_000);
    const keys = KEYS.filter(() => !oneIn(4));
    return keys.map((key) => ({ op: "put", key, value: this.#text(below(bytes)) }));
  }

  #many(): JsonOperation[] {
    const keys = MANY.filter(() => !this.#random.oneIn(3));
    return keys.map((key) => ({ op: "put", key, value: this.#text(5) }));
  }

  #operation(bytes: number): JsonOperation {
    const { below, oneIn, pick } = this.#random;
    const key = pick(KEYS);
    const kind = below(20);
    if (kind < 3) return { op: "delete", key };
    if (kind < 4) return { op: "touch", key, ttl: oneIn(2) ? "none" : this.#ttl() };
    if (kind < 5) return { op: "deleteRange", prefix: key.slice(0, 2), limit: 1 + below(3) };
    const ttl = key.startsWith("t/") || oneIn(10) ? { ttl: this.#ttl() } : undefined;
    if (kind < 6) return { op: "put", key, base64: btoa("\xff".repeat(below(50))), ...ttl };
    return { op: "put", key, value: this.#text(bytes), ...ttl };
  }

  #ttl(): string {
    return `${1 + this.#random.below(200)}ms`;
  }

  /** A text that no other is like. */
  #text(bytes: number): string {
    return `${this.#random.next()} ${"x".repeat(bytes)}`;
  }
}

// --- internal ---

function openSocket(url: string): Promise<SocketConnection> {
  return SocketConnection.open(Number(new URL(url).port));
}

const FLOOD_VALUES = 60;
const FLOOD_VALUE_BYTES = 150_000;
