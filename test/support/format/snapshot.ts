/** Reads a copy of a store as FORMAT.md says, with nothing of the engine. */

import type { Commit } from "../../../src/entry.ts";
import { checksum, integer, isZero, readRecord, Refusal, viewOf } from "./bytes.ts";
import { commitsOf } from "./content.ts";

/** What a copy holds. */
export interface SnapshotContent {
  readonly store: string;
  /** Only what is above this revision is in it; absent in a full one. */
  readonly since: number | undefined;
  readonly revision: number;
  readonly oldest: number;
  readonly createdAt: number;
  readonly commits: readonly Commit[];
  readonly voids: readonly { readonly first: number; readonly last: number }[];
}

/** @throws `Refusal` when it is broken or cut short. */
export function readSnapshot(file: string, bytes: Uint8Array): SnapshotContent {
  const head = readHead(file, bytes);
  const records = [];
  const voids: { first: number; last: number }[] = [];
  let at = 128;
  let chain = viewOf(bytes, 0).getUint32(12, true);
  let revision = head.since ?? 0;
  let open: number | undefined;
  let commits = 0;
  while (true) {
    const record = readRecord(file, bytes, at, 0, { offset: at % 2 ** 32 });
    const refuse = (what: string): never => {
      throw new Refusal(file, at, what);
    };
    if (typeof record === "string") return refuse(record);
    if (record.chain !== chain) refuse("it does not follow the record before");
    chain = record.crc;
    at += record.bytes;
    if (record.beginsBatch) refuse("a copy has no batches");
    const { kind, createRevision, version } = record;
    if (kind === "put" || kind === "delete" || kind === "expire") {
      const rises = open === undefined ? record.revision > revision : record.revision === open;
      if (!rises || record.revision > head.revision) refuse(`a commit ${record.revision}`);
      revision = record.revision;
      open = record.endsCommit ? undefined : revision;
      if (record.endsCommit) commits++;
      records.push(record);
      continue;
    }
    if (open !== undefined || !record.endsCommit) refuse("a commit has no end");
    if (kind === "void") {
      if (record.revision < revision || createRevision <= record.revision) refuse("a void");
      if (createRevision > head.revision) refuse("a void above the newest revision");
      voids.push({ first: record.revision + 1, last: createRevision });
      revision = createRevision;
      continue;
    }
    if (kind !== "end") refuse(`a ${kind} in a copy`);
    if (record.revision !== head.revision) refuse("the end of another revision");
    if (createRevision !== records.length + voids.length) refuse("the number of records");
    if (version !== commits) refuse("the number of commits");
    if (at !== bytes.length) refuse("bytes behind the end");
    return { ...head, commits: commitsOf(records), voids };
  }
}

// --- internal ---

function readHead(file: string, bytes: Uint8Array): Omit<SnapshotContent, "commits" | "voids"> {
  const refuse = (what: string): never => {
    throw new Refusal(file, 0, what);
  };
  if (bytes.length < 128) refuse("no whole header");
  const view = viewOf(bytes, 0);
  if (Buffer.from(bytes.subarray(0, 8)).toString("hex") !== "8b6b76736e700d0a") refuse("magic");
  const crc = checksum(bytes.subarray(0, 12), bytes.subarray(16, 128));
  if (view.getUint32(12, true) !== crc) refuse("header checksum");
  if (view.getUint32(8, true) !== 1) refuse("version");
  const flags = view.getUint32(32, true);
  if (flags > 1) refuse("flags");
  if (!isZero(bytes.subarray(36, 40)) || !isZero(bytes.subarray(72, 128))) refuse("reserved");
  return {
    store: Buffer.from(bytes.subarray(16, 32)).toString("hex"),
    since: flags === 1 ? integer(view, 40) : undefined,
    revision: integer(view, 48),
    oldest: integer(view, 56),
    createdAt: integer(view, 64),
  };
}
