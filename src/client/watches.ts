/**
 * All watches of a client. Most share one connection; a watch that is the same as another but needs
 * an older part of the history gets a further one, as the server has each filter once on a
 * connection.
 */

import { KvError } from "../errors.ts";
import { checkRange } from "../keys.ts";
import {
  CLIENT_BACKOFF_MS_MAX,
  CLIENT_BACKOFF_MS_MIN,
  CLIENT_HEARTBEAT_MS,
  CLIENT_TIMEOUT_MS,
  CLIENT_WATCH_BYTES_MAX,
} from "../limits.ts";
import { PATHS } from "../protocol.ts";
import { closed } from "./failures.ts";
import { Link, type LinkOptions } from "./link.ts";
import type { ServerUrl } from "./url.ts";
import { Watcher, type WatcherOptions } from "./watcher.ts";

export interface WatchesOptions extends Omit<Partial<LinkOptions>, "url"> {
  /** Bytes of changes that wait for one consumer, at most; one commit may pass it. */
  readonly bytesMax?: number;
  /** A request without a WebSocket: fails with what is wrong with the server, if it is. */
  readonly probe: () => Promise<unknown>;
}

export class Watches {
  readonly #links = new Set<Link>();
  readonly #linkOf = new Map<Watcher, Link>();
  readonly #options: LinkOptions;
  readonly #bytesMax: number;
  #closed = false;

  constructor(
    url: ServerUrl,
    { bytesMax = CLIENT_WATCH_BYTES_MAX, probe, ...options }: WatchesOptions,
  ) {
    this.#bytesMax = bytesMax;
    this.#options = {
      url: `${url.socket}${PATHS.socket}`,
      timeoutMs: CLIENT_TIMEOUT_MS,
      heartbeatMs: CLIENT_HEARTBEAT_MS,
      backoffMsMin: CLIENT_BACKOFF_MS_MIN,
      backoffMsMax: CLIENT_BACKOFF_MS_MAX,
      random: Math.random,
      diagnose: (error) => diagnose(error, url, probe),
      ...options,
    };
  }

  /** Connections that are open or being opened. */
  get connections(): number {
    return this.#links.size;
  }

  /**
   * A watcher of `range`, which begins at once. It ends when it is stopped, by an error, and by
   * `close`.
   * @throws `invalid_argument`, `too_large` for a bad range or `from`; `unavailable` after `close`.
   */
  watch(options: WatcherOptions): Watcher {
    if (this.#closed) throw closed();
    checkRange(options.range);
    const { from } = options;
    if (from !== undefined && !(Number.isSafeInteger(from) && from >= 1)) {
      throw new KvError("invalid_argument", `a watch cannot begin at revision ${from}`);
    }
    const feed = {
      resume: (watcher: Watcher) => this.#resume(watcher),
      ended: (watcher: Watcher) => this.#ended(watcher),
    };
    const watcher = new Watcher(options, feed, this.#bytesMax);
    this.#place(watcher);
    return watcher;
  }

  /** Ends every watcher: with `error`, or quietly. */
  close(error?: unknown): void {
    this.#closed = true;
    for (const watcher of this.#linkOf.keys()) watcher.end(error);
  }

  #place(watcher: Watcher, except?: Link): void {
    if (watcher.isEnded) return;
    for (const link of this.#links) {
      if (link !== except && link.add(watcher)) return this.#placed(watcher, link);
    }
    const link = new Link(this.#options, {
      place: (watcher, except) => this.#place(watcher, except),
      retired: (link) => this.#links.delete(link),
    });
    this.#links.add(link);
    this.#placed(watcher, link);
    link.add(watcher);
  }

  #placed(watcher: Watcher, link: Link): void {
    // What could not even be begun has ended already.
    if (!watcher.isEnded) this.#linkOf.set(watcher, link);
  }

  #resume(watcher: Watcher): void {
    const before = this.#linkOf.get(watcher);
    this.#place(watcher);
    before?.unpause(watcher);
  }

  #ended(watcher: Watcher): void {
    this.#linkOf.get(watcher)?.remove(watcher);
    this.#linkOf.delete(watcher);
  }
}

// --- internal ---

/** Why a WebSocket could not be had: what a plain request says, if that fails too. */
async function diagnose(
  error: KvError,
  url: ServerUrl,
  probe: () => Promise<unknown>,
): Promise<KvError> {
  try {
    await probe();
  } catch (cause) {
    return cause instanceof KvError ? cause : error;
  }
  const what = `the server at ${url.http} answers, but no WebSocket can be opened`;
  return new KvError("unavailable", `${what}; does a proxy in between allow it?`, {}, error);
}
