/**
 * What tests of stores share: short ways to write operations, to expect errors, and to read the change
 * stream. Knows only the `Store` interface.
 */

import { expect } from "bun:test";
import { KvError, type ErrorCode } from "../../src/errors.ts";
import type {
  ChangesOptions,
  Commit,
  CommitResult,
  DeleteOperation,
  Event,
  ListedEntry,
  ListOptions,
  ListResult,
  Operation,
  OperationResult,
  PutOperation,
  Range,
  Store,
} from "../../src/kv.ts";

export const TEXT = "text/plain; charset=utf-8";

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function put(
  key: string,
  value: string | Uint8Array = "",
  contentType = TEXT,
): PutOperation {
  return {
    op: "put",
    key,
    value: typeof value === "string" ? bytes(value) : value,
    contentType,
  };
}

export function del(key: string): DeleteOperation {
  return { op: "delete", key };
}

/** A put that expires after `ttl` milliseconds, or keeps its deadline. */
export function putFor(key: string, value: string, ttl: number | "keep"): PutOperation {
  return { op: "put", key, value: bytes(value), contentType: TEXT, ttl };
}

/** A delete of all keys of a range, or of its first `limit`. */
export function delRange(range: Range, limit?: number): Operation {
  return limit === undefined ? { op: "deleteRange", range } : { op: "deleteRange", range, limit };
}

export function incr(key: string, by: bigint = 1n, ttl?: number): Operation {
  return ttl === undefined ? { op: "incr", key, by } : { op: "incr", key, by, ttl };
}

export function touch(key: string, ttl: number | "keep" | "none"): Operation {
  return { op: "touch", key, ttl };
}

/** Commits operations without checks. */
export function write(store: Store, ...then: Operation[]): Promise<CommitResult> {
  return store.commit({ checks: [], then });
}

/** Commits operations without checks, and answers with the events that came of it too. */
export async function writeAndSee(store: Store, ...operations: Operation[]) {
  const before = (await store.status()).revision;
  const result = await write(store, ...operations);
  const after = (await store.status()).revision;
  const commits = await changesBetween(store, before + 1, after);
  expect(commits.length).toBeLessThanOrEqual(1);
  expect(result.revision).toBe(after);
  return { ...result, events: commits.flatMap(({ events }) => events.map(shown)) };
}

/** How many writes are answered, one after the other, before `work` is. */
export async function answeredMeanwhile(store: Store, work: Promise<unknown>): Promise<number> {
  const state = { over: false };
  const end = (): void => void (state.over = true);
  work.then(end, end);
  let answered = 0;
  while (!state.over) {
    await write(store, put("meanwhile", String(answered)));
    answered++;
  }
  return answered;
}

/** The text of a key's value, `undefined` when it is absent. */
export async function textOf(
  store: Store,
  key: string,
  revision?: number,
): Promise<string | undefined> {
  const { entry } = await store.get(key, revision === undefined ? {} : { revision });
  return entry === undefined ? undefined : Buffer.from(entry.value).toString();
}

/** The error that `action` throws or rejects with, which must have the code, or one of the codes. */
export async function failure(
  action: () => unknown,
  ...codes: [ErrorCode, ...ErrorCode[]]
): Promise<KvError> {
  let outcome: unknown;
  try {
    outcome = await action();
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
    expect(codes).toContain(error.code);
    return error;
  }
  throw new Error(`expected ${codes.join(" or ")}, got ${JSON.stringify(outcome)}`);
}

/** An entry or event in a form that compares well and reads well in a failure: the value as text. */
export function shown(item: ListedEntry | Event): Record<string, unknown> {
  const plain: Record<string, unknown> = { ...item };
  if ("value" in item && item.value !== undefined) {
    plain["value"] = Buffer.from(item.value).toString("latin1");
  }
  if (plain["expiresAt"] === undefined) delete plain["expiresAt"];
  return plain;
}

/** A result of an operation in a form that compares well, and that JSON can carry. */
export function plainResult(result: OperationResult): unknown {
  if (result.op === "incr") return { ...result, value: String(result.value) };
  if (result.op === "list") return { ...result, entries: result.entries.map(shown) };
  if (result.op !== "get" || result.entry === undefined) return result;
  return { ...result, entry: shown(result.entry) };
}

export function shownCommits(commits: readonly Commit[]) {
  return commits.map(({ revision, events }) => ({ revision, events: events.map(shown) }));
}

/** All pages of a range at one revision. Checks on the way that each leads to the next. */
export async function listPages(
  store: Store,
  range: Range,
  options: ListOptions = {},
): Promise<ListResult[]> {
  const pages = [await store.list(range, options)];
  while (pages.at(-1)!.more) {
    const { revision, next, entries, folders = [] } = pages.at(-1)!;
    expect([entries.at(-1)?.key, folders.at(-1)]).toContain(next!);
    // Or it would go on for ever.
    if (pages.length > 1) expect(next).not.toBe(pages.at(-2)!.next);
    pages.push(await store.list(range, { ...options, after: next!, revision }));
    expect(pages.at(-1)!.revision).toBe(revision);
  }
  expect(pages.at(-1)!.next).toBeUndefined();
  return pages;
}

/** All entries of a range at one revision, page by page. */
export async function listAll(
  store: Store,
  range: Range,
  options: ListOptions = {},
): Promise<ListedEntry[]> {
  return (await listPages(store, range, options)).flatMap(({ entries }) => entries);
}

/**
 * The commits of the change stream from `from` to `through`, pulled until the stream has got there.
 * Checks on the way that each chunk keeps to its promise.
 */
export async function changesBetween(
  store: Store,
  from: number,
  through: number,
  options: ChangesOptions = {},
): Promise<Commit[]> {
  const commits: Commit[] = [];
  let reached = from - 1;
  if (reached >= through) return commits;
  for await (const chunk of store.changes(from, options)) {
    let last = reached;
    for (const commit of chunk.commits) {
      expect(commit.revision).toBeGreaterThan(last);
      expect(commit.events.length).toBeGreaterThan(0);
      last = commit.revision;
    }
    expect(chunk.through).toBeGreaterThanOrEqual(last);
    reached = chunk.through;
    commits.push(...chunk.commits);
    if (reached >= through) break;
  }
  expect(reached).toBeGreaterThanOrEqual(through);
  return commits;
}

/** All that can be seen of a store from a revision on. */
export async function dump(store: Store, since: number) {
  const { store: id, revision, oldest, keys } = await store.status();
  const commits = await changesBetween(store, since + 1, revision);
  const states: Record<string, unknown>[][] = [];
  for (const at of [since, ...commits.map((commit) => commit.revision)]) {
    states.push((await listAll(store, {}, { revision: at })).map(shown));
  }
  return { status: { id, revision, oldest, keys }, commits: shownCommits(commits), states };
}

/** The same data with each revision replaced by the commit that it names, counted from 0. */
export function named(data: unknown, revisions: readonly number[]): unknown {
  const commits = new Map(revisions.map((revision, at) => [revision, at]));
  const replace = (name: string, item: unknown): unknown => {
    // The revisions of a put that was undone are 0, which names no commit.
    const isRevision = name === "at" || (/^(revision|createRevision)$/.test(name) && item !== 0);
    if (!isRevision) return item;
    const index = commits.get(item as number);
    // Where a put is seen and then undone, and nothing else is committed: a revision not taken.
    return index === undefined ? "no commit" : `commit ${index}`;
  };
  return JSON.parse(JSON.stringify(data, replace));
}
