/**
 * What was sent to one store, what was answered, and what the store has shown of it, through any
 * number of deaths of its server. Throws at the first thing that cannot be: a write that was
 * acknowledged and is not there, one that was refused, or lost for good, and is there after all, a
 * revision that is not new, a commit in parts. Knows nothing of how the answers came.
 */

import type { JsonCommit, JsonEntry, JsonEvent } from "../../src/json.ts";

/** What a key is to become: a value with or without a deadline, or absent. */
export interface Change {
  readonly value: string | undefined;
  readonly expires?: boolean;
}

/** One write that was sent, and what is known of it. */
export interface Sent {
  readonly writer: string;
  /** Counts the writes of a writer, from 1: they take effect in this order. */
  readonly sequence: number;
  readonly changes: ReadonlyMap<string, Change>;
  /** The newest revision that anybody had heard of when it was sent. */
  readonly known: number;
  /** How it was answered; absent where no answer came, or none that says. */
  answer?: "done" | "nothing" | "refused";
  /** By the answer, and by the commit. */
  answered?: number;
  applied?: number;
}

export class Fault extends Error {
  override readonly name = "Fault";
}

/** The value of a put says which write it belongs to. */
export function valueOf(writer: string, sequence: number, padding: string): string {
  return `${writer}:${sequence}:${padding}`;
}

export class Ledger {
  /** Every commit up to here has been seen. */
  through = 0;
  /** The newest revision that anybody has heard of. */
  known = 0;
  oldest = 0;
  /** Commits up to here were not seen one by one. */
  unseen = 0;
  acknowledged = 0;
  lost = 0;
  expired = 0;
  /** Commits that are not forgotten yet, for those who compare what they were told. */
  readonly commits: { readonly revision: number; readonly digest: string }[] = [];
  readonly #clock: () => number;
  /** By writer and sequence, until their fate is settled. */
  readonly #open = new Map<string, Sent>();
  /** Of each writer, the newest write that was applied or settled. */
  readonly #newest = new Map<string, number>();
  readonly #entries = new Map<string, JsonEntry>();

  /** `clock`: that of the server, in milliseconds since 1970. */
  constructor(clock: () => number = Date.now) {
    this.#clock = clock;
  }

  get entries(): ReadonlyMap<string, JsonEntry> {
    return this.#entries;
  }

  send(writer: string, sequence: number, changes: ReadonlyMap<string, Change>): Sent {
    const sent: Sent = { writer, sequence, changes, known: this.known };
    this.#open.set(`${writer}:${sequence}`, sent);
    return sent;
  }

  /** A success. `changed` is false where there was nothing to change. */
  done(sent: Sent, revision: number, changed = true): void {
    this.acknowledged++;
    this.known = Math.max(this.known, revision);
    sent.answer = changed ? "done" : "nothing";
    if (!changed) {
      if (sent.applied !== undefined) fault(sent, `changed nothing, yet made ${sent.applied}`);
      return;
    }
    sent.answered = revision;
    if (revision <= sent.known) {
      fault(sent, `was answered ${revision}; ${sent.known} was known before it was sent`);
    }
    const isSeen = revision <= this.through;
    if (isSeen && sent.applied !== revision) {
      fault(sent, `was answered ${revision}, and made ${sent.applied ?? "no commit"}`);
    }
  }

  /** An answer that says that nothing was changed. */
  refused(sent: Sent): void {
    sent.answer = "refused";
    if (sent.applied !== undefined) fault(sent, `was refused, and made commit ${sent.applied}`);
  }

  /** Takes the next commit. */
  apply({ revision, events }: JsonCommit): void {
    if (revision <= this.through) {
      throw new Fault(`commit ${revision} came after revision ${this.through}`);
    }
    if (events.every(({ type }) => type === "expire")) this.#checkExpired(events);
    else this.#match(revision, events);
    for (const event of events) this.#change(revision, event);
    this.#pass(revision);
    this.commits.push({ revision, digest: digestOf(events) });
  }

  /** No commit above the last one up to here. */
  pass(revision: number): void {
    if (revision > this.through) this.#pass(revision);
  }

  /**
   * Takes the state at a revision in place of the commits up to there, which nobody can read any
   * more: each key has to be as an acknowledged write left it, or a later one of unknown outcome.
   */
  takeState(entries: readonly JsonEntry[], revision: number): void {
    const there = new Map(entries.map((entry) => [entry.key, entry]));
    const possible = new Map<string, Set<string | undefined>>();
    for (const [key, { value, expiresAt }] of this.#entries) {
      possible.set(key, new Set([value, ...(expiresAt === undefined ? [] : [undefined])]));
    }
    for (const sent of this.#open.values()) {
      if (sent.answer === "refused" || sent.answer === "nothing") continue;
      if (sent.applied !== undefined || (sent.answered ?? 0) > revision) continue;
      for (const [key, { value, expires }] of sent.changes) {
        const before = sent.answer === "done" ? [] : (possible.get(key) ?? [undefined]);
        possible.set(key, new Set([...before, value, ...(expires === true ? [undefined] : [])]));
      }
    }
    for (const key of new Set([...possible.keys(), ...there.keys()])) {
      const value = there.get(key)?.value;
      if (possible.get(key)?.has(value)) continue;
      throw new Fault(`at ${revision}, ${key} is ${short(value)}: no write that counts made it so`);
    }
    this.#entries.clear();
    for (const entry of entries) this.#entries.set(entry.key, entry);
    for (const sent of this.#open.values()) {
      if (sent.answered !== undefined && sent.answered <= revision) sent.applied = sent.answered;
    }
    this.commits.length = 0;
    this.unseen = revision;
    this.#pass(revision);
  }

  /** The state that was read at `through` is the one that the commits made. */
  checkState(entries: readonly JsonEntry[]): void {
    const there = new Set(entries.map(({ key }) => key));
    for (const key of this.#entries.keys()) {
      if (!there.has(key)) throw new Fault(`${key} is missing at revision ${this.through}`);
    }
    for (const entry of entries) {
      if (Bun.deepEquals(entry, this.#entries.get(entry.key))) continue;
      const made = short(JSON.stringify(this.#entries.get(entry.key)));
      throw new Fault(`${short(JSON.stringify(entry))} at ${this.through}, not ${made}`);
    }
  }

  /**
   * The server is dead and `through` is all there is: what is not in it by now must never come, and
   * what was acknowledged has to be in it.
   */
  settle(): void {
    for (const [name, sent] of this.#open) {
      const { writer, sequence, answer, answered, applied } = sent;
      if (answer === "done" && applied === undefined) {
        fault(sent, `was acknowledged at ${answered}, and is lost`);
      }
      if (answer === undefined && applied === undefined) this.lost++;
      this.#newest.set(writer, Math.max(sequence, this.#newest.get(writer) ?? 0));
      this.#open.delete(name);
    }
  }

  /** Commits up to a revision are compared with nothing any more. */
  forget(revision: number): void {
    const kept = this.commits.filter((commit) => commit.revision > revision);
    this.commits.splice(0, this.commits.length, ...kept);
  }

  #pass(revision: number): void {
    this.through = revision;
    this.known = Math.max(this.known, revision);
    for (const [name, sent] of this.#open) {
      const { answer, answered, applied } = sent;
      if (answer === "done" && applied === undefined && answered! <= revision) {
        fault(sent, `was acknowledged at ${answered}, and is lost`);
      }
      if (answer === "done" && applied !== undefined) this.#open.delete(name);
    }
  }

  /** Finds the write that made a commit, and holds the commit against it. */
  #match(revision: number, events: readonly JsonEvent[]): void {
    const sent = this.#find(revision, events);
    const { writer, sequence, answer, answered, changes } = sent;
    if (sent.applied !== undefined) fault(sent, `made ${sent.applied} and ${revision}`);
    if (answer === "refused" || answer === "nothing")
      fault(sent, `was ${answer}, made ${revision}`);
    if (answered !== undefined && answered !== revision) {
      fault(sent, `was answered ${answered}, and made ${revision}`);
    }
    if (sequence <= (this.#newest.get(writer) ?? 0)) fault(sent, `came at ${revision}, too late`);
    sent.applied = revision;
    this.#newest.set(writer, sequence);
    const changed = new Set<string>();
    for (const event of events) {
      const change = changes.get(event.key);
      const value = event.type === "put" ? event.value : undefined;
      if (change === undefined || change.value !== value || event.type === "expire") {
        fault(sent, `made ${short(JSON.stringify(event))}, which was not asked for`);
      }
      changed.add(event.key);
    }
    for (const [key, { value }] of changes) {
      const isDue = value !== undefined || this.#entries.has(key);
      if (isDue && !changed.has(key)) fault(sent, `made ${revision} without its change of ${key}`);
    }
  }

  #find(revision: number, events: readonly JsonEvent[]): Sent {
    for (const event of events) {
      const name = event.type === "put" ? /^\w+:\d+/.exec(event.value ?? "")?.[0] : undefined;
      if (name === undefined) continue;
      const sent = this.#open.get(name);
      if (sent !== undefined) return sent;
      throw new Fault(`commit ${revision} is of ${name}, which was over before`);
    }
    // Deletions alone do not say whose they are.
    const matching = [...this.#open.values()].filter(
      ({ changes, applied }) =>
        applied === undefined &&
        events.every(({ key }) => changes.get(key)?.value === undefined) &&
        events.some(({ key }) => changes.has(key)),
    );
    const sent =
      matching.find(({ answered }) => answered === revision) ??
      matching.find(({ answer }) => answer === undefined);
    if (sent !== undefined) return sent;
    throw new Fault(`nobody sent commit ${revision}: ${short(JSON.stringify(events))}`);
  }

  #checkExpired(events: readonly JsonEvent[]): void {
    for (const { key, revision } of events) {
      const deadline = this.#entries.get(key)?.expiresAt;
      if (deadline === undefined)
        throw new Fault(`${key} expired at ${revision} without a deadline`);
      this.expired++;
      if (Date.parse(deadline) <= this.#clock() + CLOCK_SLACK_MS) continue;
      throw new Fault(`${key} expired at revision ${revision} before ${deadline}`);
    }
  }

  #change(revision: number, event: JsonEvent): void {
    const { key } = event;
    const before = this.#entries.get(key);
    if (event.revision !== revision) throw new Fault(`${event.revision} of ${key} in ${revision}`);
    if (event.type !== "put") {
      if (before === undefined) throw new Fault(`${key} is deleted at ${revision}, and was absent`);
      this.#entries.delete(key);
      return;
    }
    const { type: _, prev: __, ...entry } = event;
    const version = (before?.version ?? 0) + 1;
    const createRevision = before?.createRevision ?? revision;
    if (entry.version !== version || entry.createRevision !== createRevision) {
      throw new Fault(
        `${key} has version ${entry.version} of ${entry.createRevision} at ${revision}; ` +
          `before it was version ${before?.version} of ${before?.createRevision}`,
      );
    }
    this.#entries.set(key, entry);
  }
}

/** Two commits of the same events have the same digest. */
export function digestOf(events: readonly JsonEvent[]): string {
  return Bun.hash(JSON.stringify(events)).toString(36);
}

// --- internal ---

/** The clocks of two processes are read one after the other. */
const CLOCK_SLACK_MS = 5;

function fault({ writer, sequence }: Sent, what: string): never {
  throw new Fault(`write ${sequence} of ${writer} ${what}`);
}

function short(text: string | undefined): string {
  if (text === undefined) return "absent";
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}
