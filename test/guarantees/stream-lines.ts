/** The lines of a stream as frames: a JSON object a line, and server-sent events. Strict in both. */

import type { WatchFrame } from "../../src/messages.ts";

/** A frame came; `id` is what stood beside it. */
export type Arrive = (frame: WatchFrame, id: number | undefined) => void;

export function jsonLines(arrive: Arrive): (line: string) => void {
  return (line) => arrive(JSON.parse(line) as WatchFrame, undefined);
}

/**
 * Each event has to say its kind and its data on one line, after one `retry: 1000` for the whole
 * stream. Comments may stand anywhere between events.
 */
export function eventSourceLines(arrive: Arrive): (line: string) => void {
  let event = new Map<string, string>();
  let isFirst = true;
  return (line) => {
    if (line.startsWith(":")) return;
    if (line !== "") {
      const [, field, value] = /^(retry|id|event|data): (.*)$/s.exec(line) ?? [];
      if (field === undefined || event.has(field)) throw new Error(`no server-sent event: ${line}`);
      event.set(field, value!);
      return;
    }
    const { retry, id, event: type, data } = Object.fromEntries(event);
    const { size } = event;
    event = new Map();
    if (isFirst !== (retry !== undefined)) throw new Error(`retry: ${retry} at the wrong place`);
    isFirst = false;
    if (retry !== undefined && retry !== "1000") throw new Error(`retry: ${retry}`);
    // What is not for the page is in events of its own.
    if (size === (retry === undefined ? 0 : 1)) return;
    if (type === undefined || data === undefined) throw new Error(`an event without its data`);
    const fields = JSON.parse(data) as Record<string, unknown>;
    if ("type" in fields) throw new Error(`an event whose data repeats its kind: ${data}`);
    arrive({ type, ...fields } as WatchFrame, id === undefined ? undefined : revisionOf(id));
  };
}

// --- internal ---

function revisionOf(id: string): number {
  if (!/^(0|[1-9][0-9]*)$/.test(id)) throw new Error(`the id ${id}, which is no revision`);
  return Number(id);
}
