/**
 * Holds what a watcher was sent, over its whole life, against what really happened: ordered, unique,
 * reliable, atomic, resumable and bookmarkable, as etcd promises it of watches. Says nothing of
 * when frames come, but that they do.
 */

import { positionAfter, type RecordedSession, type WatcherRecord } from "./record.ts";
import { SessionCheck } from "./session-check.ts";
import type { Truth } from "./truth.ts";
import { BrokenRule, type Violation } from "./violation.ts";

export interface CheckOptions {
  /** Milliseconds of silence while the store moves after which `progress` is missed. */
  readonly silenceMsMax: number;
}

/** The first thing that is wrong with each watcher. */
export function checkWatchers(
  records: readonly WatcherRecord[],
  truth: Truth,
  options: CheckOptions,
): Violation[] {
  return records.flatMap((record) => checkWatcher(record, truth, options) ?? []);
}

/** What is wrong first. Throws when the record itself makes no sense, which is no fault of a watch. */
export function checkWatcher(
  record: WatcherRecord,
  truth: Truth,
  { silenceMsMax }: CheckOptions,
): Violation | undefined {
  const delivered = new Set<number>();
  let before: RecordedSession | undefined;
  for (const [at, session] of record.sessions.entries()) {
    if (session.resumes) checkResumed(session, before);
    else delivered.clear();
    const check = new SessionCheck({ truth, record, session, delivered, silenceMsMax });
    try {
      check.run();
    } catch (error) {
      if (!(error instanceof BrokenRule)) throw error;
      const { rule, message: detail } = error;
      return { rule, watcher: record.name, session: at, frame: check.place, detail };
    }
    before = session;
  }
  return undefined;
}

// --- internal ---

function checkResumed(session: RecordedSession, before: RecordedSession | undefined): void {
  const { begin } = session;
  const position = before === undefined ? undefined : positionAfter(before);
  const first = begin.lastEventId === undefined ? begin.from : begin.lastEventId + 1;
  if (first === undefined ? begin.initial === true : position === first - 1) return;
  throw new Error(`a session that resumes at ${first} after one that stands at ${position}`);
}
