/** What the checker of watches says when a guarantee is broken. */

/**
 * The six guarantees of a watch, and what its frames have to be besides: `begin` = it begins where
 * it was asked to, or is refused for the reason that there is; `filter` = what was asked for and
 * nothing else; `content` = what the log has; `frames` = frames where they belong.
 */
export type Rule =
  | "ordered"
  | "unique"
  | "reliable"
  | "atomic"
  | "resumable"
  | "bookmarkable"
  | "begin"
  | "filter"
  | "content"
  | "frames";

export interface Violation {
  readonly rule: Rule;
  readonly watcher: string;
  /** Which of the watcher's sessions, and which of its frames, from 0. */
  readonly session: number;
  readonly frame: number;
  readonly detail: string;
}

/** Thrown where a rule is found broken; nothing that comes behind it can be judged. */
export class BrokenRule extends Error {
  readonly rule: Rule;

  constructor(rule: Rule, detail: string) {
    super(detail);
    this.rule = rule;
  }
}

/** @throws `BrokenRule` unless `holds`. */
export function demand(holds: boolean, rule: Rule, detail: () => string): asserts holds {
  if (!holds) throw new BrokenRule(rule, detail());
}

/** A short text of anything. */
export function shown(item: unknown): string {
  const text = JSON.stringify(item) ?? "nothing";
  return text.length > 300 ? `${text.slice(0, 300)}… (${text.length} characters)` : text;
}
