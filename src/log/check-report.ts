/** What a check of a data directory, or a repair, found: in terms that a command can print. */

/** Revisions, both included. */
export interface Revisions {
  readonly first: number;
  readonly last: number;
}

export interface Finding {
  /**
   * `damage` stops a start, or has taken something that was acknowledged; a `note` is what a start
   * mends by itself, or what does no harm.
   */
  readonly severity: "damage" | "note";
  /** The name of the file in the directory; empty when it is about the log as a whole. */
  readonly file: string;
  /** Where in the file; absent when it is about the file as a whole. */
  readonly offset?: number | undefined;
  /** Where the file is sound again; absent when nothing sound is behind `offset`. */
  readonly end?: number | undefined;
  /** In words, beginning in lower case and without a full stop. */
  readonly what: string;
  /** Revisions of which all or a part may be lost, where that is known. */
  readonly revisions?: Revisions | undefined;
  /** Keys of which a change is lost, as far as the damaged bytes still tell; the first of them. */
  readonly keys?: readonly string[] | undefined;
}

export interface CheckReport {
  /** No finding is damage: a store can be opened here. */
  readonly sound: boolean;
  readonly findings: readonly Finding[];
  /** The store id, 32 hexadecimal digits; absent when no segment tells it. */
  readonly store: string | undefined;
  /** The newest revision that was found. */
  readonly revision: number;
  /** The oldest readable one. */
  readonly oldest: number;
  /** Live keys; absent when the log is damaged. */
  readonly keys: number | undefined;
  readonly segments: number;
  /** Records of all kinds that are sound. */
  readonly records: number;
  /** Commits that are whole. */
  readonly commits: number;
  /** Bytes of the segments. */
  readonly bytes: number;
}

/** How far a check or a repair is. */
export interface Progress {
  /** Bytes that were read. */
  readonly bytes: number;
  /** Bytes that are to be read. */
  readonly of: number;
}

/** One finding in one line: `0000000003.log at offset 4096: …`. */
export function describeFinding({ file, offset, end, what, revisions, keys }: Finding): string {
  const place = offset === undefined ? file : `${file} at offset ${offset}`;
  const parts = [place === "" ? what : `${place}: ${what}`];
  if (end !== undefined) parts.push(`sound again at offset ${end}`);
  if (revisions !== undefined) parts.push(describeRevisions(revisions));
  if (keys !== undefined && keys.length > 0) parts.push(`keys ${keys.map(quoted).join(", ")}`);
  return parts.join("; ");
}

// --- internal ---

function describeRevisions({ first, last }: Revisions): string {
  return first === last ? `revision ${first}` : `revisions ${first} to ${last}`;
}

function quoted(key: string): string {
  return JSON.stringify(key);
}
