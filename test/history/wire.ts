/**
 * Requests of a history as JSON, and answers of the server as those of a history: what HTTP and
 * WebSocket have in common. Throws for answers that no request of a history can get.
 */

import { isErrorCode, type ErrorDetails } from "../../src/errors.ts";
import type { JsonChanged, JsonCheck, JsonEntry, JsonOperation } from "../../src/json.ts";
import type { JsonCommitResult, JsonResult, JsonTxn } from "../../src/json.ts";
import type { Answer, Asked, Check, Result, Shown, Step, Ttl } from "./history.ts";

export type RevisionCheck = Extract<Check, { readonly revision: unknown }>;

/** A request in the form in which it is sent. */
export interface Sent {
  readonly asked: Asked;
  /** Without it, it is sent as a transaction. */
  readonly single: Single | undefined;
}

/** A request that has a form of its own beside that of a transaction. */
export interface Single {
  readonly step: Step;
  /** Of a write of one key; if it fails, the answer tells what the key is instead. */
  readonly check: RevisionCheck | undefined;
}

export function singleOf({ checks = [], then, else: otherwise }: Asked): Single | undefined {
  const [step] = then;
  const [check] = checks;
  if (step === undefined || then.length > 1 || checks.length > 1) return undefined;
  if (check === undefined) return otherwise === undefined ? { step, check } : undefined;
  const [instead] = otherwise ?? [];
  const alone = otherwise?.length === 1 && instead?.op === "get" && instead.key === check.key;
  const takes = "key" in step && step.op !== "get" && step.key === check.key;
  return alone && takes && isCondition(check) ? { step, check } : undefined;
}

/** Has it a form as the condition of a request? Not "absent, or at this revision". */
function isCondition(check: Check): check is RevisionCheck {
  if (!("revision" in check)) return false;
  return typeof check.revision === "number" || !check.revision.includes(0);
}

export function txnToJson({ checks, then, else: otherwise }: Asked): JsonTxn {
  return {
    ...(checks === undefined ? undefined : { checks: checks.map(checkToJson) }),
    then: then.map(stepToJson),
    ...(otherwise === undefined ? undefined : { else: otherwise.map(stepToJson) }),
  };
}

export function stepToJson(step: Step): JsonOperation {
  switch (step.op) {
    case "put":
    case "incr": {
      const { ttl, ...rest } = step;
      return ttl === undefined ? rest : { ...rest, ttl: ttlText(ttl) };
    }
    case "touch":
      return { ...step, ttl: ttlText(step.ttl) };
    case "count":
      return { op: "list", ...step.range, count: true };
    case "list":
    case "deleteRange": {
      const { range, ...rest } = step;
      return { ...range, ...rest };
    }
    default:
      return step;
  }
}

export function ttlText(ttl: Ttl): string {
  return typeof ttl === "number" ? `${ttl}ms` : ttl;
}

export function txnAnswer({ succeeded, failed, revision, results }: JsonCommitResult): Answer {
  const shown = results.map(resultOf);
  const which = succeeded ? [] : failed;
  return {
    kind: "done",
    succeeded,
    revision,
    results: shown,
    ...(which === undefined ? undefined : { failed: which }),
  };
}

/** The body of a success, without that of a get, as HTTP and WebSocket answer it alike. */
export type SingleBody = { revision: number; cursor?: string; more?: boolean } & Partial<
  JsonChanged & { value: string; deleted: number; entries: JsonEntry[]; count: number }
>;

export function singleAnswer({ op }: Step, body: SingleBody): Answer {
  const { revision, deleted, entries, count, cursor } = body;
  if (op === "delete") return done(revision, { deleted: deleted! });
  if (op === "deleteRange") return done(revision, { deleted: deleted!, more: body.more === true });
  if (op === "count") return done(revision, { count: count! });
  if (op === "list") {
    return done(revision, { entries: entries!.map(entryOf), more: cursor !== undefined });
  }
  return done(revision, changeOf(body as JsonChanged & { value?: string }));
}

export function done(revision: number | undefined, ...results: Result[]): Answer {
  const at = revision === undefined ? undefined : { revision };
  return { kind: "done", succeeded: true, results, ...at };
}

export type WireError = { code: string; message: string } & ErrorDetails;

/** What an error says of the outcome. */
export function errorAnswer({ asked, single }: Sent, error: WireError): Answer {
  const { code, index = 0, revision = 0, storeRevision } = error;
  const at = storeRevision === undefined ? undefined : { revision: storeRevision };
  switch (code) {
    case "outcome_unknown":
      return { kind: "unknown" };
    case "unavailable":
    case "storage_full":
    case "too_many_requests":
    // Of a read of an old revision.
    case "compacted":
      return { kind: "notApplied" };
    case "conflict":
      return { kind: "refused", code, index, ...at };
    case "precondition_failed":
      return failedCheck(revision === 0 ? null : { revision }, storeRevision!);
    case "not_found":
      if (single === undefined) return { kind: "refused", code, index, ...at };
      return absent(single, storeRevision!);
  }
  const known = isErrorCode(code) ? "" : "unknown ";
  throw new Error(`${known}error ${JSON.stringify(error)} for ${JSON.stringify(asked)}`);
}

export function entryOf({ key, value, ...json }: JsonEntry): Shown {
  const { revision, createRevision, version } = json;
  const expiresAt = timeOf(json.expiresAt);
  return { key, value: value!, revision, createRevision, version, expiresAt };
}

/** A time as texts tell it. */
export function timeOf(text: string | null | undefined): number | null {
  return text === undefined || text === null ? null : Date.parse(text);
}

// --- internal ---

function checkToJson(check: Check): JsonCheck {
  const { key, not } = check;
  const negated = not === true ? { not } : undefined;
  if ("value" in check) return { key, value: check.value, ...negated };
  if ("version" in check) return { key, version: [check.version].flat(), ...negated };
  return { key, revision: [check.revision].flat(), ...negated };
}

function resultOf(json: JsonResult): Result {
  switch (json.op) {
    case "put":
    case "touch":
    case "incr":
      return changeOf(json);
    case "delete":
      return { deleted: json.deleted };
    case "deleteRange":
      return { deleted: json.deleted, more: json.more === true };
    case "get":
      return { entry: json.entry === null ? null : entryOf(json.entry) };
    case "list":
      if (json.count !== undefined) return { count: json.count };
      return { entries: json.entries!.map(entryOf), more: json.more === true };
  }
}

function changeOf(json: JsonChanged & { value?: string }): Result {
  const { revision, createRevision, version, value } = json;
  const sum = value === undefined ? undefined : { value };
  return { revision, createRevision, version, expiresAt: timeOf(json.expiresAt), ...sum };
}

function failedCheck(entry: Shown | null, revision: number): Answer {
  return { kind: "done", succeeded: false, failed: [0], revision, results: [{ entry }] };
}

/** The key of a single request is absent: whatever its condition says of that comes first. */
function absent({ step, check }: Single, revision: number): Answer {
  if (check !== undefined) {
    const holds = [check.revision].flat().includes(0) !== (check.not ?? false);
    if (!holds) return failedCheck(null, revision);
  }
  if (step.op === "get") return done(revision, { entry: null });
  if (step.op === "delete") return done(revision, { deleted: 0 });
  return { kind: "refused", code: "not_found", index: 0, revision };
}
