/**
 * All watches of a client. Most share one connection; a watch that is the same as another but needs
 * an older part of the history, or the state, gets a further one, as the server has each filter
 * once on a connection. As soon as both have got as far they go on together.
 */

import { KvError } from "../errors.ts";
import {
  CLIENT_BACKOFF_MS_MAX,
  CLIENT_BACKOFF_MS_MIN,
  CLIENT_CONNECTION_WATCHES_MAX,
  CLIENT_HEARTBEAT_MS,
  CLIENT_STREAM_HEARTBEAT_MS,
  CLIENT_TIMEOUT_MS,
  CLIENT_WATCH_BYTES_MAX,
} from "../limits.ts";
import { PATHS } from "../protocol.ts";
import type { Channel, ChannelEvents } from "./channel.ts";
import { closed } from "./failures.ts";
import { HttpChannel } from "./http-channel.ts";
import type { HttpTransport } from "./http-transport.ts";
import { Link, type LinkOptions } from "./link.ts";
import { getStatus } from "./operations.ts";
import { SocketChannel } from "./socket-channel.ts";
import { readRest } from "./state-rest.ts";
import type { Stream } from "./stream.ts";
import { Watcher, type WatcherOptions } from "./watcher.ts";

/** How watches reach the server: all over one WebSocket, or each by an HTTP stream of its own. */
export type WatchTransport = "websocket" | "http";

export interface WatchesOptions extends Partial<Omit<LinkOptions, "open" | "streamsMax">> {
  /** WebSocket where the platform has it, when left out. */
  readonly transport?: WatchTransport | undefined;
  /** Milliseconds for a connection or a request; 10,000 when left out. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds of silence before the server is asked whether it is there. */
  readonly heartbeatMs?: number;
  /** Bytes of changes that wait for one consumer, at most; one commit may pass it. */
  readonly bytesMax?: number;
}

export class Watches {
  readonly #links = new Set<Link>();
  readonly #linkOf = new Map<Watcher, Link>();
  /** Watchers that read the rest of a state, which is on no link. */
  readonly #resting = new Map<Watcher, AbortController>();
  readonly #http: HttpTransport;
  readonly #options: LinkOptions;
  readonly #timeoutMs: number;
  readonly #bytesMax: number;
  #closed = false;

  constructor(http: HttpTransport, options: WatchesOptions = {}) {
    const { transport, timeoutMs, heartbeatMs, bytesMax, ...rest } = options;
    this.#http = http;
    this.#timeoutMs = timeoutMs ?? CLIENT_TIMEOUT_MS;
    this.#bytesMax = bytesMax ?? CLIENT_WATCH_BYTES_MAX;
    const isHttp = (transport ?? platformTransport()) === "http";
    const beatMs = heartbeatMs ?? (isHttp ? CLIENT_STREAM_HEARTBEAT_MS : CLIENT_HEARTBEAT_MS);
    const open = (events: ChannelEvents, patience: number): Channel => {
      const times = { timeoutMs: this.#timeoutMs, heartbeatMs: beatMs * patience };
      if (isHttp) return new HttpChannel(http, times, events);
      return new SocketChannel(`${http.url.socket}${PATHS.socket}`, times, events);
    };
    this.#options = {
      open,
      streamsMax: isHttp ? 1 : CLIENT_CONNECTION_WATCHES_MAX,
      backoffMsMin: CLIENT_BACKOFF_MS_MIN,
      backoffMsMax: CLIENT_BACKOFF_MS_MAX,
      random: Math.random,
      diagnose: (error) => diagnose(error, http),
      ...rest,
    };
  }

  /** Connections that are open or being opened. */
  get connections(): number {
    return this.#links.size;
  }

  /**
   * A watcher, which begins at once. It ends when it is stopped, by an error, and by `close`.
   * @throws `invalid_argument` for a bad `from`; `unavailable` after `close`.
   */
  watch(options: WatcherOptions): Watcher {
    if (this.#closed) throw closed();
    const { from } = options;
    if (from !== undefined && !(Number.isSafeInteger(from) && from >= 1)) {
      throw new KvError("invalid_argument", `a watch cannot begin at revision ${from}`);
    }
    const feed = {
      resume: (watcher: Watcher) => this.#place(watcher),
      ended: (watcher: Watcher) => this.#ended(watcher),
    };
    const watcher = new Watcher(options, feed, this.#bytesMax);
    this.#place(watcher);
    return watcher;
  }

  /** Ends every watcher: with `error`, or quietly. */
  close(error?: unknown): void {
    this.#closed = true;
    for (const watcher of [...this.#linkOf.keys(), ...this.#resting.keys()]) watcher.end(error);
  }

  #place(watcher: Watcher, except?: Link): void {
    if (watcher.isEnded) return;
    if (watcher.need.type === "rest") {
      void this.#readRest(watcher);
      return;
    }
    for (const link of this.#links) {
      if (link === except) continue;
      if (link.add(watcher)) return this.#placed(watcher, link);
      if (watcher.isEnded) return;
    }
    const link = new Link(this.#options, {
      place: (watcher, except) => this.#place(watcher, except),
      moved: (stream, link) => this.#merge(stream, link),
      retired: (link) => this.#links.delete(link),
    });
    this.#links.add(link);
    this.#placed(watcher, link);
    link.add(watcher);
  }

  #placed(watcher: Watcher, link: Link): void {
    // What could not even be begun has ended already.
    if (watcher.isEnded) return;
    const before = this.#linkOf.get(watcher);
    this.#linkOf.set(watcher, link);
    before?.unpause(watcher);
  }

  /** Gives watchers to an older link that has the same stream and has not come further. */
  #merge(stream: Stream, link: Link): void {
    for (const older of this.#links) {
      if (older === link) return;
      for (const watcher of stream.members) {
        if (!older.adopt(watcher)) continue;
        this.#linkOf.set(watcher, older);
        link.remove(watcher);
      }
    }
  }

  async #readRest(watcher: Watcher): Promise<void> {
    if (this.#resting.has(watcher)) return;
    const ending = new AbortController();
    this.#resting.set(watcher, ending);
    try {
      await readRest(watcher, {
        transport: this.#http,
        timeoutMs: this.#timeoutMs,
        backoff: this.#options,
        signal: ending.signal,
      });
    } catch (error) {
      watcher.end(error);
    }
    this.#resting.delete(watcher);
    // A watcher that is paused asks for its place by itself.
    if (!watcher.isPaused) this.#place(watcher);
  }

  #ended(watcher: Watcher): void {
    this.#resting.get(watcher)?.abort();
    this.#linkOf.get(watcher)?.remove(watcher);
    this.#linkOf.delete(watcher);
  }
}

/** Node.js has no WebSocket before version 22. */
export function platformTransport(): WatchTransport {
  return typeof WebSocket === "undefined" ? "http" : "websocket";
}

// --- internal ---

/** Why a WebSocket could not be had: what a plain request says, if that fails too. */
async function diagnose(error: KvError, http: HttpTransport): Promise<KvError> {
  try {
    await getStatus(http);
  } catch (cause) {
    return cause instanceof KvError ? cause : error;
  }
  const what = `the server at ${http.url.http} answers, but no WebSocket can be opened`;
  const hint = 'does a proxy in between allow it? With transport: "http" none is needed';
  return new KvError("unavailable", `${what}; ${hint}`, {}, error);
}
