/**
 * Histories of a store that is right, made up without any store: clients on a clock of their own,
 * each operation taking effect at a random time between its call and its return.
 */

import type { Random } from "../support/random.ts";
import type {
  Answer,
  Asked,
  History,
  Operation,
  RecordedCommit,
  RecordedEvent,
  Result,
  Shown,
} from "./history.ts";
import { canWrite } from "./history.ts";
import { evaluate, type Deadline, type RightResult, type State } from "./sequential.ts";
import { Table } from "./table.ts";
import { Workload, workloadKeys } from "./workload.ts";

export interface SimulationOptions {
  readonly operations: number;
  readonly clients?: number;
  /** One in so many operations has an unknown outcome; 0: none, as when left out. */
  readonly unknownOneIn?: number;
  /** Time to live in milliseconds, at most. */
  readonly ttlMsMax?: number;
}

export function simulate(random: Random, options: SimulationOptions): History {
  const store = new Simulation(random, options);
  return store.run(options.operations);
}

// --- internal ---

const EPOCH = 1_700_000_000_000;

/** A client does one thing after the other; those of one connection are at work together. */
interface Client {
  readonly name: string;
  readonly connection: Connection | undefined;
  readonly workload: Workload;
  /** When it sends its next request. */
  next: number;
}

interface Connection {
  readonly name: string;
  /** When the newest request takes effect: later ones do so later. */
  effect: number;
}

/** An operation under way. */
interface Pending {
  readonly client: Client;
  readonly call: number;
  readonly asked: Asked;
  readonly unknown: boolean;
  readonly effect: number;
  readonly index: number;
}

class Simulation {
  readonly #random: Random;
  readonly #clients: Client[];
  readonly #unknownOneIn: number;
  readonly #operations: Operation[] = [];
  readonly #commits: RecordedCommit[] = [];
  readonly #table = new Table(workloadKeys());
  /** Keys by the time at which they expire; some of them have another deadline by then. */
  readonly #due = new Map<number, Set<string>>();
  #pending: Pending[] = [];
  #revision: number;
  #sent = 0;

  constructor(random: Random, options: SimulationOptions) {
    const { clients = 8, unknownOneIn = 0, ttlMsMax = 300 } = options;
    this.#random = random;
    this.#unknownOneIn = unknownOneIn;
    this.#revision = random.below(100);
    let connection: Connection | undefined;
    this.#clients = Array.from({ length: clients }, (_, at) => {
      if (at % 2 === 0) connection = undefined;
      else if (at % 4 === 1) connection = { name: `connection ${at}`, effect: 0 };
      const name = `client ${at}`;
      return {
        name,
        connection,
        workload: new Workload(random, `c${at}`, { ttlMsMax }),
        next: random.next(),
      };
    });
  }

  run(operations: number): History {
    while (this.#sent < operations || this.#pending.length > 0) {
      const client = this.#clients.reduce((a, b) => (b.next < a.next ? b : a));
      const pending = this.#pending.reduce<Pending | undefined>(
        (a, b) => (a === undefined || b.effect < a.effect ? b : a),
        undefined,
      );
      const sends = this.#sent < operations;
      const effect = pending?.effect ?? Infinity;
      if (sends && client.next < effect) {
        this.#expire(client.next);
        this.#send(client);
      } else {
        this.#expire(effect);
        this.#take(pending!);
      }
    }
    return { operations: this.#operations, commits: this.#commits, epoch: EPOCH };
  }

  #send(client: Client): void {
    const random = this.#random;
    const { next: call, connection } = client;
    const asked = client.workload.next();
    const index = this.#sent++;
    const unknown = this.#unknownOneIn > 0 && random.oneIn(this.#unknownOneIn);
    // Most answers come at once, some take long; unknown ones may take effect much later.
    const patience = random.oneIn(20) ? 20 : 2;
    const late = unknown ? random.pick([1, 10, 1_000]) : 1;
    let effect = call + random.next() * patience * late;
    if (unknown) {
      const end = call + random.next() * patience;
      // Now and then it is known that it cannot take effect any more.
      const until = random.oneIn(2) ? { until: effect + random.next() } : undefined;
      this.#record(index, { client, call, asked }, end, { kind: "unknown", ...until });
      client.next = end + random.next();
      if (random.oneIn(2)) return;
    } else {
      if (connection !== undefined) {
        effect = Math.max(effect, connection.effect + 0.001);
        connection.effect = effect;
      }
      client.next = Infinity;
    }
    this.#pending.push({ client, call, asked, unknown, effect, index });
  }

  #take(pending: Pending): void {
    this.#pending = this.#pending.filter((one) => one !== pending);
    const { client, asked, unknown, effect, index } = pending;
    const answer = this.#answer(asked, effect);
    if (unknown) return;
    const random = this.#random;
    const end = effect + random.next() * (random.oneIn(20) ? 20 : 1);
    client.next = end + random.next() * (random.oneIn(50) ? 50 : 0.5);
    const operation = this.#record(index, pending, end, this.#hide(asked, answer));
    client.workload.learn(operation);
  }

  #record(
    index: number,
    { client, call, asked }: Pick<Pending, "client" | "call" | "asked">,
    end: number,
    answer: Answer,
  ): Operation {
    const connection =
      client.connection === undefined ? undefined : { connection: client.connection.name };
    const operation = { client: client.name, ...connection, call, return: end, asked, answer };
    this.#operations[index] = operation;
    return operation;
  }

  #answer(asked: Asked, time: number): Answer {
    const { at } = asked;
    const view = at === undefined ? this.#table : this.#table.at(at);
    const revision = at ?? this.#revision + 1 + this.#random.below(2);
    const { succeeded, failed, results, refused, changes } = evaluate(asked, view, revision);
    if (refused !== undefined) return { kind: "refused", ...refused, revision: this.#revision };
    const told = new Map<string, State | undefined>();
    for (const [key, state] of changes) {
      told.set(key, state && { ...state, expiresAt: tell(state.expiresAt, time) });
    }
    if (told.size > 0) this.#commit(revision, told, time);
    const shown = results.map((result) => show(result, time));
    return { kind: "done", succeeded, failed, revision: at ?? this.#revision, results: shown };
  }

  #commit(
    revision: number,
    changes: ReadonlyMap<string, State | undefined>,
    time: number,
    gone: "delete" | "expire" = "delete",
  ): void {
    const events: RecordedEvent[] = [];
    for (const [key, state] of changes) {
      if (state === undefined) events.push({ type: gone, key });
      else {
        const { value, createRevision, version } = state;
        const expiresAt = state.expiresAt as number | null;
        events.push({ type: "put", key, value, createRevision, version, expiresAt });
        if (expiresAt !== null) {
          const due = this.#due.get(expiresAt);
          if (due === undefined) this.#due.set(expiresAt, new Set([key]));
          else due.add(key);
        }
      }
    }
    this.#table.apply(revision, changes);
    this.#revision = revision;
    const seen = time + this.#random.next();
    this.#commits.push({ revision, events, seen });
  }

  /** Commits the expiries that are due by `time`, those of the same deadline together. */
  #expire(time: number): void {
    const due = [...this.#due.keys()].filter((deadline) => deadline <= EPOCH + time);
    for (const deadline of due.sort((a, b) => a - b)) {
      const keys = [...this.#due.get(deadline)!];
      const gone = keys.filter((key) => this.#table.get(key)?.expiresAt === deadline);
      this.#due.delete(deadline);
      if (gone.length === 0) continue;
      const changes = new Map(gone.map((key) => [key, undefined]));
      this.#commit(this.#revision + 1, changes, deadline - EPOCH, "expire");
    }
  }

  /** Answers of some requests do not show everything. */
  #hide(asked: Asked, answer: Answer): Answer {
    if (!this.#random.oneIn(3) || answer.kind !== "done") return answer;
    const { revision, failed: _, ...rest } = answer;
    const entry = asked.then.length === 1 ? answer.results[0]?.entry : undefined;
    if (canWrite(asked) || entry === undefined || entry === null) {
      return { ...rest, revision: revision! };
    }
    // As a plain read of a value over HTTP answers.
    const { value, revision: tag } = entry;
    return { ...rest, results: [{ entry: { value: value!, revision: tag! } }] };
  }
}

function show({ entry, entries, expiresAt, ...fields }: RightResult, time: number): Result {
  return {
    ...fields,
    ...(expiresAt === undefined ? undefined : { expiresAt: tell(expiresAt, time) }),
    ...(entry === undefined ? undefined : { entry: entry && showEntry(entry, time) }),
    ...(entries && { entries: entries.map((one) => showEntry(one, time)) }),
  };
}

function showEntry(entry: State, time: number): Shown {
  return { ...entry, expiresAt: tell(entry.expiresAt, time) };
}

/** Deadlines are whole milliseconds. */
function tell(deadline: Deadline, time: number): number | null {
  if (deadline === null || typeof deadline === "number") return deadline;
  return Math.floor(EPOCH + time + deadline.ttl);
}
