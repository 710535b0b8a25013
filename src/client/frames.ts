/**
 * The connection for binary frames: opened when it is needed, and closed when nobody has used it
 * for a while.
 */

import { CLIENT_FRAMES_IDLE_MS, CLIENT_GATHERED_RETRY_MS, CLIENT_TIMEOUT_MS } from "../limits.ts";
import { PATHS } from "../protocol.ts";
import { FrameChannel } from "./frame-channel.ts";

export interface FramesOptions {
  /** Milliseconds until a connection must be open; 5,000 where it is more. */
  readonly timeoutMs: number;
  /** Milliseconds after which one that is not used is closed. */
  readonly idleMs?: number;
  /** May there be none at all? */
  readonly isOff?: boolean;
}

export class Frames {
  readonly #url: string;
  readonly #options: FramesOptions;
  #channel: FrameChannel | undefined;
  #idling: ReturnType<typeof setTimeout> | undefined;
  /** When it could not be opened last, as `performance.now()`. */
  #failedAt = -Infinity;
  /** The same, where nothing came until the time was over. */
  #lateAt = -Infinity;
  #closed = false;

  /** `url` is the address of the server: `ws://host:port`. */
  constructor(url: string, options: FramesOptions) {
    this.#url = `${url}${PATHS.socket}`;
    this.#options = options;
  }

  /** The connection, if it is open. */
  get channel(): FrameChannel | undefined {
    return this.#channel?.isOpen === true ? this.#channel : undefined;
  }

  /**
   * The connection, opened if need be; `undefined` when it cannot be had. Who has waited for one in
   * vain does not wait again soon.
   */
  async open(): Promise<FrameChannel | undefined> {
    if (this.#options.isOff === true || this.#closed || isRecent(this.#lateAt)) return undefined;
    const channel = (this.#channel ??= this.#make());
    if (channel === undefined) return undefined;
    if (await channel.opened) return channel;
    this.#failedAt = performance.now();
    if (channel.isLate) this.#lateAt = this.#failedAt;
    return undefined;
  }

  /** Opens it for later; not where that has failed not long ago. */
  openSoon(): void {
    if (!isRecent(this.#failedAt)) void this.open();
  }

  close(): void {
    this.#closed = true;
    this.#channel?.close();
  }

  #make(): FrameChannel | undefined {
    const ended = (): void => {
      clearTimeout(this.#idling);
      this.#channel = undefined;
    };
    const timeoutMs = Math.min(this.#options.timeoutMs, CLIENT_TIMEOUT_MS / 2);
    try {
      const channel = new FrameChannel(this.#url, timeoutMs, ended);
      this.#closeWhenIdle(channel);
      return channel;
    } catch {
      // A page that was loaded securely may not open an insecure one.
      this.#failedAt = performance.now();
      return undefined;
    }
  }

  #closeWhenIdle(channel: FrameChannel): void {
    const { idleMs = CLIENT_FRAMES_IDLE_MS } = this.#options;
    const idle =
      channel.isOpen && channel.unanswered === 0 ? performance.now() - channel.heardAt : 0;
    if (idle >= idleMs) channel.close();
    else this.#idling = setTimeout(() => this.#closeWhenIdle(channel), idleMs - idle);
  }
}

// --- internal ---

function isRecent(failedAt: number): boolean {
  return performance.now() - failedAt < CLIENT_GATHERED_RETRY_MS;
}
