/**
 * Follows one key until something holds: reads it, then watches from that revision on, so that no
 * state in between is missed. A server that cannot be reached is tried again until the time is up.
 */

import { getEntry } from "../client/operations.ts";
import { HttpTransport } from "../client/http-transport.ts";
import { connect, type KvClient } from "../client/index.ts";
import { parseServerUrl } from "../client/url.ts";
import { KvError } from "../errors.ts";
import type { Entry } from "../kv.ts";
import { CLIENT_BACKOFF_MS_MIN } from "../limits.ts";
import { writeErrorLine } from "./output.ts";

/** What is waited for: exactly one of them. */
export type Wanted =
  | { readonly present: boolean; readonly value?: never; readonly changedAfter?: never }
  | { readonly value: Uint8Array; readonly present?: never; readonly changedAfter?: never }
  | { readonly changedAfter: number; readonly present?: never; readonly value?: never };

export type WaitEnd =
  /** It holds; `entry` is the key as it was then, nothing where that was absent. */
  | { readonly why: "met"; readonly entry?: Entry }
  /** It has changed after that revision, by a deletion. */
  | { readonly why: "deleted" }
  /** The time is up, and the server is there. */
  | { readonly why: "timeout" }
  /** The time is up, and the server is not there. */
  | { readonly why: "unreachable"; readonly message: string };

export interface WaitOptions {
  readonly url: string;
  readonly timeoutMs: number;
}

/** @throws what the server refuses, `compacted` when the changes after a revision are gone. */
export async function waitForKey(
  key: string,
  wanted: Wanted,
  { url, timeoutMs }: WaitOptions,
): Promise<WaitEnd> {
  const signal = AbortSignal.timeout(timeoutMs);
  const server = new Reachability(url);
  const wait = new KeyWait(key, wanted, url, server, signal);
  let backoffMs = CLIENT_BACKOFF_MS_MIN;
  while (!signal.aborted) {
    try {
      const end = await wait.attempt();
      if (end !== undefined) return end;
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof KvError)) throw error;
      // Another store, or one that has forgotten much: what the key is now can be asked again.
      const isGone = error.code === "compacted";
      if (isGone && wanted.changedAfter !== undefined) throw forgotten(wanted.changedAfter, error);
      if (!isGone && !RETRIED.has(error.code)) throw error;
      if (!isGone) server.lost(error);
      await Promise.race([Bun.sleep(backoffMs), aborted(signal)]);
      backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX);
    }
  }
  return server.end();
}

// --- internal ---

/** A server that starts is often there within a second. */
const BACKOFF_MS_MAX = 1_000;

const RETRIED: ReadonlySet<string> = new Set(["unavailable", "too_many_requests"]);

/** Is the server there? Says so on stderr, once each way. */
class Reachability {
  #lost: string | undefined;
  #reached = false;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  reached(): void {
    if (this.#lost !== undefined) writeErrorLine("kv wait: connected");
    this.#reached = true;
    this.#lost = undefined;
  }

  lost(error: KvError): void {
    if (this.#lost === undefined) writeErrorLine(`kv wait: trying again: ${error.message}`);
    this.#lost = error.message;
  }

  /** How it ends when the time is up. */
  end(): WaitEnd {
    if (this.#reached && this.#lost === undefined) return { why: "timeout" };
    return { why: "unreachable", message: this.#lost ?? `no answer from ${this.#url}` };
  }
}

class KeyWait {
  readonly #key: string;
  readonly #wanted: Wanted;
  readonly #server: Reachability;
  readonly #signal: AbortSignal;
  readonly #transport: HttpTransport;
  readonly #client: KvClient;

  constructor(key: string, wanted: Wanted, url: string, server: Reachability, signal: AbortSignal) {
    this.#key = key;
    this.#wanted = wanted;
    this.#server = server;
    this.#signal = signal;
    this.#transport = new HttpTransport(parseServerUrl(url));
    this.#client = connect(url);
  }

  /** Reads and follows the key; nothing when the time is up. */
  async attempt(): Promise<WaitEnd | undefined> {
    const { revision, entry } = await getEntry(this.#transport, this.#key, {
      signal: this.#signal,
    });
    this.#server.reached();
    const { changedAfter } = this.#wanted;
    if (changedAfter === undefined) {
      return this.#isMet(entry) ? met(entry) : this.#follow(revision + 1);
    }
    if (changedAfter > revision) throw beyond(changedAfter, revision);
    if (entry === undefined) return this.#follow(changedAfter + 1, revision);
    return entry.revision > changedAfter ? met(entry) : this.#follow(revision + 1);
  }

  /** The first change from `from` on that is wanted. At `absentAt` the key was absent. */
  async #follow(from: number, absentAt = 0): Promise<WaitEnd | undefined> {
    const changes = this.#client.watch(
      { key: this.#key },
      {
        from,
        signal: this.#signal,
        onDisconnect: (error) => this.#server.lost(error),
        onReconnect: () => this.#server.reached(),
      },
    );
    for await (const { revision, events } of changes) {
      const event = events.at(-1)!;
      const isThere = event.type === "put" && revision > absentAt;
      const entry = isThere ? { ...event, value: event.bytes } : undefined;
      if (this.#wanted.changedAfter !== undefined) {
        return entry === undefined ? { why: "deleted" } : met(entry);
      }
      if (this.#isMet(entry)) return met(entry);
    }
    return undefined;
  }

  #isMet(entry: Entry | undefined): boolean {
    const { value, present } = this.#wanted;
    if (value !== undefined) return entry !== undefined && Buffer.compare(entry.value, value) === 0;
    return present === (entry !== undefined);
  }
}

function met(entry: Entry | undefined): WaitEnd {
  return entry === undefined ? { why: "met" } : { why: "met", entry };
}

function beyond(asked: number, revision: number): KvError {
  const message = `--revision is ${asked}, but the store is at revision ${revision}`;
  return new KvError("invalid_argument", message, { revision });
}

/** What happened after that revision cannot be known any more. */
function forgotten(asked: number, { details }: KvError): KvError {
  const message = `what happened after revision ${asked} has been compacted, and the key is absent`;
  return new KvError("compacted", message, details);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true }),
  );
}
