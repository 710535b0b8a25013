/** What a run has met, so that a test can tell that nothing was left out. */

import type { WatcherRecord } from "./record.ts";

/** How often each kind of thing happened. */
export function whatWasMet(records: readonly WatcherRecord[]): Map<string, number> {
  const met = new Map<string, number>();
  const add = (what: string): void => void met.set(what, (met.get(what) ?? 0) + 1);
  for (const { transport, sessions } of records) {
    for (const { begin, resumes, refusal, pauses, arrivals } of sessions) {
      add(`a watch by ${transport}`);
      if (resumes) add("a resumed watch");
      if (begin.lastEventId !== undefined) add("a resumed event source");
      if (refusal !== undefined) add(`a refusal: ${refusal.code}`);
      if (pauses.length > 0) add("a stall");
      for (const [at, { frame }] of arrivals.entries()) {
        add(`a frame ${frame.type}`);
        if (frame.type === "end") add(`an end: ${frame.reason}`);
        if (frame.type === "reset" && at > 1) add("a reset of a running watch");
        if (frame.type === "change" && frame.more === true) add("a commit in parts");
        if (frame.type === "change" && (frame.skipped ?? 0) > 0) add("skipped events");
      }
    }
  }
  return met;
}
