/**
 * Puts the commits of a damaged log together, record by record, and keeps account of what is lost:
 * a commit is handed out only when it is certain that all of it is there.
 */

import { REPORTED_KEYS_MAX } from "../limits.ts";
import type { Finding, Revisions } from "./check-report.ts";
import {
  FLAG_BATCH_START,
  hasUnknownExtension,
  isChange,
  KIND,
  recordBytes,
  type RecordHeader,
  type SegmentHeader,
} from "./format.ts";
import type { Resumption } from "./resume.ts";
import { soundKeyOf } from "./records.ts";
import { endsCommit, type ScannedRecord } from "./segment.ts";

/** A finding to which more can be added while the log is read on. */
export type OpenFinding = { -readonly [Field in keyof Finding]: Finding[Field] };

/** What a log consists of. */
export type Swept =
  | { readonly commit: readonly ScannedRecord[] }
  /** Revisions above that of the record, up to its _create revision_, are void. */
  | { readonly voided: RecordHeader };

export class CommitAssembly {
  /** The newest revision of what is whole. */
  revision = 0;
  /** The highest revision that may ever have been handed out, as far as any record tells. */
  highest = 0;
  oldest = 0;
  /** Sound records of all kinds, and whole commits. */
  records = 0;
  commits = 0;
  readonly #report: (finding: OpenFinding) => void;
  #open: { readonly revision: number; readonly records: ScannedRecord[] } | undefined;
  /** The revision of a commit of which a part is lost. */
  #broken: number | undefined;
  /** The last damage: what turns out to be lost is noted there. */
  #loss: OpenFinding | undefined;
  /** Nobody knows which revisions were in the damaged place before the next record. */
  #isGap = false;
  /** Nobody knows whether the next record is the first of its commit. */
  #isUnsure = false;

  /** `report` is told what is wrong with records whose checksums are right. */
  constructor(report: (finding: OpenFinding) => void) {
    this.#report = report;
  }

  /** The next segment; `header` is absent when it is damaged. */
  begin(header: SegmentHeader | undefined): void {
    this.#isUnsure = false;
    this.#broken = undefined;
    if (header === undefined) return;
    const { nextRevision, compactedRevision, reservedRevision } = header;
    this.#closeGap(nextRevision - 1);
    this.#reach(nextRevision - 1);
    this.oldest = Math.max(this.oldest, compactedRevision);
    this.highest = Math.max(this.highest, reservedRevision);
  }

  /** The next record; answers what is whole with it. */
  take(file: string, record: ScannedRecord): Swept | undefined {
    const { header } = record;
    this.records++;
    this.highest = Math.max(this.highest, header.revision);
    const fault = contentFault(record);
    if (fault !== undefined) {
      this.lose(this.#fault(file, header, fault), { offset: 0, chain: 0, damaged: header });
      return undefined;
    }
    if (!isChange(header.kind)) return this.#takeNote(file, header);
    return this.#takeChange(file, record);
  }

  /** A damaged place, which goes up to where `resumption` says. */
  lose(finding: OpenFinding, { damaged, key }: Resumption): void {
    this.#loss = finding;
    this.#dropOpen();
    this.#isGap = damaged === undefined;
    this.#isUnsure = damaged === undefined;
    if (damaged === undefined) return;
    this.highest = Math.max(this.highest, damaged.revision);
    if (isChange(damaged.kind)) {
      this.#lost(damaged.revision, key);
      this.#broken = endsCommit(damaged) ? undefined : damaged.revision;
    } else {
      this.#broken = undefined;
      const isAhead = damaged.kind === KIND.void || damaged.kind === KIND.reserve;
      if (isAhead) this.highest = Math.max(this.highest, damaged.createRevision);
      const name = kindName(damaged.kind);
      if (name !== undefined) finding.what += `; it is of kind ${name}, and belongs to no commit`;
    }
  }

  /** The end of a segment: what is open there has no end. Answers whether something was. */
  end(finding: () => OpenFinding): boolean {
    if (this.#open === undefined) return false;
    this.#loss = finding();
    this.#dropOpen();
    return true;
  }

  /** A segment is missing. */
  miss(finding: OpenFinding): void {
    this.#loss = finding;
    this.#isGap = true;
  }

  #takeNote(file: string, header: RecordHeader): Swept | undefined {
    const { kind, revision, createRevision } = header;
    this.end(() => this.#fault(file, header, "a commit before this record has no end"));
    this.#broken = undefined;
    this.#isUnsure = false;
    this.#closeGap(revision);
    if (kind === KIND.compact) this.oldest = Math.max(this.oldest, createRevision);
    if (kind === KIND.reserve) this.highest = Math.max(this.highest, createRevision);
    if (kind === KIND.end) this.#reach(revision);
    if (kind !== KIND.void) return undefined;
    this.#reach(createRevision);
    return { voided: header };
  }

  #takeChange(file: string, record: ScannedRecord): Swept | undefined {
    const { header } = record;
    const { revision } = header;
    this.#closeGap(revision - 1);
    const isFirst = (header.flags & FLAG_BATCH_START) !== 0;
    if (this.#isUnsure && !isFirst) this.#broken = revision;
    this.#isUnsure = false;
    if (this.#broken === revision) {
      this.#lost(revision, soundKeyOf(record));
      if (endsCommit(header)) this.#broken = undefined;
      return undefined;
    }
    this.#broken = undefined;
    if (this.#open !== undefined && this.#open.revision !== revision) {
      this.end(() => this.#fault(file, header, "a commit before this record has no end"));
    }
    if (this.#open === undefined && revision <= this.revision) {
      this.#fault(file, header, "a revision that is not above the one before");
      this.#broken = endsCommit(header) ? undefined : revision;
      return undefined;
    }
    this.#open ??= { revision, records: [] };
    this.#open.records.push(copyOf(record));
    if (!endsCommit(header)) return undefined;
    const { records } = this.#open;
    this.#open = undefined;
    this.commits++;
    this.#reach(revision);
    return { commit: records };
  }

  #reach(revision: number): void {
    this.revision = Math.max(this.revision, revision);
    this.highest = Math.max(this.highest, revision);
  }

  /** Revisions between the newest that is known and `last` may have been in the damaged place. */
  #closeGap(last: number): void {
    if (!this.#isGap) return;
    this.#isGap = false;
    if (last <= this.revision) return;
    this.#lostRevisions({ first: this.revision + 1, last });
  }

  #dropOpen(): void {
    if (this.#open === undefined) return;
    const { revision, records } = this.#open;
    this.#open = undefined;
    this.#broken = revision;
    for (const record of records) this.#lost(revision, soundKeyOf(record));
  }

  #lost(revision: number, key: string | undefined): void {
    this.#lostRevisions({ first: revision, last: revision });
    const loss = this.#loss;
    if (loss === undefined || key === undefined) return;
    const keys = loss.keys ?? [];
    if (keys.length < REPORTED_KEYS_MAX && !keys.includes(key)) loss.keys = [...keys, key];
  }

  #lostRevisions({ first, last }: Revisions): void {
    const loss = this.#loss;
    if (loss === undefined) return;
    const known = loss.revisions ?? { first, last };
    loss.revisions = { first: Math.min(known.first, first), last: Math.max(known.last, last) };
  }

  #fault(file: string, { offset }: RecordHeader, what: string): OpenFinding {
    const finding: OpenFinding = { severity: "damage", file, offset, what };
    this.#report(finding);
    return finding;
  }
}

// --- internal ---

/** In words, what this kv cannot make of a record whose checksums are right. */
function contentFault(record: ScannedRecord): string | undefined {
  const { header, bytes, at } = record;
  if (header.extensionBytes > 0 && hasUnknownExtension(bytes, at, header)) {
    return "a record with an extension that this kv does not know; use a newer one";
  }
  if (kindName(header.kind) === undefined) {
    return `a record of kind ${header.kind}, which this kv does not know; use a newer one`;
  }
  if (isChange(header.kind) && soundKeyOf(record) === undefined) return "a key that is no UTF-8";
  return undefined;
}

function kindName(kind: number): string | undefined {
  return Object.entries(KIND).find(([, known]) => known === kind)?.[0];
}

/** A record that stays as it is when the next ones are read. */
function copyOf({ header, bytes, at }: ScannedRecord): ScannedRecord {
  return { header, bytes: bytes.slice(at, at + recordBytes(header)), at: 0 };
}
