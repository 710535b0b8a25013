/** Topics within the process: what is published on one goes to all who are subscribed to it. */

import type { Frame } from "./frames.ts";
import type { Publisher } from "./subscriber.ts";

export interface Listener {
  /** Takes what was published. The hub is in the middle of it: nothing may be asked of it here. */
  receive(frame: Frame): void;
}

export class Topics implements Publisher {
  readonly #listeners = new Map<string, Set<Listener>>();

  add(topic: string, listener: Listener): void {
    const listeners = this.#listeners.get(topic);
    if (listeners === undefined) this.#listeners.set(topic, new Set([listener]));
    else listeners.add(listener);
  }

  remove(topic: string, listener: Listener): void {
    const listeners = this.#listeners.get(topic);
    if (listeners?.delete(listener) === true && listeners.size === 0) this.#listeners.delete(topic);
  }

  publish(topic: string, frame: Frame): void {
    for (const listener of this.#listeners.get(topic) ?? []) listener.receive(frame);
  }
}
