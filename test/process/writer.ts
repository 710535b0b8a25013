/**
 * A client that writes at random on one WebSocket, several writes under way together, to keys that are
 * its own. Everything is noted in the ledger.
 */

import type { JsonOperation, JsonResult } from "../../src/json.ts";
import { Broken } from "../history/http-connection.ts";
import { SocketConnection } from "../history/socket-connection.ts";
import type { Random } from "../support/random.ts";
import { Fault, valueOf, type Change, type Ledger, type Sent } from "./ledger.ts";

export interface WriterOptions {
  readonly ledger: Ledger;
  readonly random: Random;
  /** A word; the keys begin with it. */
  readonly name: string;
  /** Keys that it writes. */
  readonly keys?: number;
  readonly valueCharsMax?: number;
  /** Writes under way together. */
  readonly lanes?: number;
  /** One write in so many only deletes; none does when left out. */
  readonly deletionOneIn?: number;
  /** One put in so many has a deadline; 0 = none. */
  readonly deadlineOneIn?: number;
}

export class Writer {
  /** Writes that were answered, by how: `done`, or the code of the error. */
  readonly answers = new Map<string, number>();
  /** Writes that only delete, done while others were refused for want of room. */
  deletedWhileFull = 0;
  #isFull = false;
  readonly #options: Required<WriterOptions>;
  readonly #keys: readonly string[];
  #sequence = 0;
  #stopped = false;

  constructor(options: WriterOptions) {
    this.#options = {
      keys: 24,
      valueCharsMax: 4_000,
      lanes: 4,
      deletionOneIn: 0,
      deadlineOneIn: 10,
      ...options,
    };
    const { keys, name } = this.#options;
    this.#keys = Array.from({ length: keys }, (_, at) => `${name}/${at}`);
  }

  /** Writes until the connection ends, or `stop`. All that was sent is answered by then, or never. */
  async run(port: number): Promise<void> {
    this.#stopped = false;
    const connection = await SocketConnection.open(port).catch(() => undefined);
    if (connection === undefined) return;
    const lane = async (): Promise<void> => {
      while (!this.#stopped && (await this.#write(connection)));
    };
    await Promise.all(Array.from({ length: this.#options.lanes }, lane));
    connection.close();
    await connection.ended;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Deletes all its keys, with everybody else at rest. @throws where that is refused. */
  async deleteAll(port: number): Promise<void> {
    const keys = this.#keys.map((key) => ({ op: "delete", key }) as const);
    const what = await this.#alone(port, keys);
    if (what !== "done") throw new Fault(`deleting everything is answered ${what}`);
  }

  /** Puts one key. False where there is no room for it. */
  async putOnce(port: number): Promise<boolean> {
    const what = await this.#alone(port, [this.#put(this.#keys[0]!, this.#sequence + 1)]);
    if (what !== "done" && what !== "storage_full") throw new Fault(`a put is answered ${what}`);
    return what === "done";
  }

  async #alone(port: number, operations: readonly JsonOperation[]): Promise<string | undefined> {
    const connection = await SocketConnection.open(port);
    const what = await this.#send(connection, ++this.#sequence, operations);
    connection.close();
    await connection.ended;
    return what;
  }

  /** Sends one write. False when the connection has ended. */
  async #write(connection: SocketConnection): Promise<boolean> {
    const sequence = ++this.#sequence;
    return (await this.#send(connection, sequence, this.#operations(sequence))) !== undefined;
  }

  /** How it was answered; `undefined` when the connection has ended. */
  async #send(
    connection: SocketConnection,
    sequence: number,
    operations: readonly JsonOperation[],
  ): Promise<string | undefined> {
    const { name, ledger } = this.#options;
    const sent = ledger.send(name, sequence, changesOf(operations));
    const [first] = operations;
    const isAlone = operations.length === 1 && first?.op === "put";
    const fields = isAlone ? { ...first } : { op: "txn", then: operations };
    try {
      return this.#note(sent, (await connection.send(fields)) as unknown as Answer);
    } catch (error) {
      if (error instanceof Broken) return undefined;
      throw error;
    }
  }

  #note(sent: Sent, answer: Answer): string {
    const { ledger } = this.#options;
    const what = answer.type === "error" ? answer.error.code : "done";
    this.answers.set(what, (this.answers.get(what) ?? 0) + 1);
    const puts = [...sent.changes.values()].some(({ value }) => value !== undefined);
    if (puts) this.#isFull = what === "storage_full";
    else if (this.#isFull && what === "done") this.deletedWhileFull++;
    if (answer.type === "result") {
      ledger.done(sent, answer.revision, answer.results?.every(isNothing) !== true);
    } else if (what === "storage_full" || what === "unavailable") ledger.refused(sent);
    else if (what !== "outcome_unknown") throw new Fault(`${what}: ${answer.error.message}`);
    return what;
  }

  #operations(sequence: number): JsonOperation[] {
    const { random, deletionOneIn } = this.#options;
    const { below, oneIn } = random;
    if (deletionOneIn > 0 && oneIn(deletionOneIn)) {
      return this.#some(1 + below(8)).map((key) => ({ op: "delete", key }));
    }
    const [first, ...others] = this.#some(oneIn(3) ? 2 + below(5) : 1);
    const put = (key: string): JsonOperation => this.#put(key, sequence);
    // At least one put says whose the commit is.
    return [
      put(first!),
      ...others.map((key) => (oneIn(3) ? ({ op: "delete", key } as const) : put(key))),
    ];
  }

  #put(key: string, sequence: number): JsonOperation {
    const { random, name, valueCharsMax, deadlineOneIn } = this.#options;
    const { below, oneIn } = random;
    const chars = oneIn(3) ? below(valueCharsMax) : below(100);
    const value = valueOf(name, sequence, "x".repeat(chars));
    const hasDeadline = deadlineOneIn > 0 && oneIn(deadlineOneIn);
    return { op: "put", key, value, ...(hasDeadline && { ttl: `${1 + below(300)}ms` }) };
  }

  /** Different keys of its own. */
  #some(count: number): string[] {
    const keys = new Set<string>();
    while (keys.size < count) keys.add(this.#options.random.pick(this.#keys));
    return [...keys];
  }
}

// --- internal ---

type Answer =
  | { readonly type: "result"; readonly revision: number; readonly results?: readonly JsonResult[] }
  | { readonly type: "error"; readonly error: { readonly code: string; readonly message: string } };

function isNothing(result: JsonResult): boolean {
  return "deleted" in result && result.deleted === 0;
}

function changesOf(operations: readonly JsonOperation[]): Map<string, Change> {
  const changes = new Map<string, Change>();
  for (const operation of operations) {
    if (operation.op === "delete") changes.set(operation.key, { value: undefined });
    if (operation.op !== "put") continue;
    changes.set(operation.key, { value: operation.value, expires: operation.ttl !== undefined });
  }
  return changes;
}
