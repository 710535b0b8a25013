/**
 * Many operations on a store: all at once where it can, else one by one, with the same answers.
 * Writes that follow each other are handed over without waiting, as the store keeps their order; a
 * read waits for the writes before it, and writes wait for it.
 */

import { KvError } from "../errors.ts";
import type { CommitResult, GetResult, MaybePromise, PutResult, Store, Txn } from "../kv.ts";
import { MANY, manyKey, type Many, type ManyAnswers } from "../many.ts";
import { deleteTxn, putTxn, singleResult } from "./single.ts";

/** As `Store.many`, for every store. */
export function runMany(store: Store, operations: Many, answers: ManyAnswers): MaybePromise<void> {
  if (store.many !== undefined) return store.many(operations, answers);
  return manyOneByOne(store, operations, answers);
}

/** As `Store.many`, by `get` and `commit`. */
export function manyOneByOne(
  store: Store,
  operations: Many,
  answers: ManyAnswers,
): MaybePromise<void> {
  for (let at = 0; at < operations.count; at++) {
    if (operations.kinds[at] !== MANY.get) return goOn(store, operations, answers, at);
    const answer = get(store, operations, answers, at);
    if (answer instanceof Promise) {
      return answer.then((answer) => {
        answer(answers);
        return goOn(store, operations, answers, at + 1);
      });
    }
    answer(answers);
  }
}

// --- internal ---

/** What an operation came to; told when its turn is. */
type Answer = (answers: ManyAnswers) => void;

/** The rest of the operations, where not all of it is answered in the same turn. */
async function goOn(
  store: Store,
  operations: Many,
  answers: ManyAnswers,
  from: number,
): Promise<void> {
  let writes: Promise<Answer>[] = [];
  const written = async (): Promise<void> => {
    for (const answer of await Promise.all(writes)) answer(answers);
    writes = [];
  };
  for (let at = from; at < operations.count; at++) {
    if (operations.kinds[at] !== MANY.get) {
      writes.push(write(store, operations, at));
      continue;
    }
    await written();
    const answer = await get(store, operations, answers, at);
    answer(answers);
  }
  await written();
}

function get(
  store: Store,
  operations: Many,
  { isFull }: ManyAnswers,
  at: number,
): MaybePromise<Answer> {
  if (isFull) return (answers) => answers.unread();
  try {
    const found = store.get(manyKey(operations, at));
    return found instanceof Promise ? found.then(toRead, toFailure) : toRead(found);
  } catch (error) {
    return toFailure(error);
  }
}

async function write(store: Store, operations: Many, at: number): Promise<Answer> {
  try {
    const result = await singleResult(store.commit(txnOf(operations, at)));
    return operations.kinds[at] === MANY.put ? toPut(result) : toDeletion(result);
  } catch (error) {
    return toFailure(error);
  }
}

function txnOf(operations: Many, at: number): Txn {
  const key = manyKey(operations, at);
  if (operations.kinds[at] !== MANY.put) return deleteTxn(key, []);
  const value = operations.bytes.slice(operations.valueStarts[at]!, operations.valueEnds[at]!);
  const contentType = operations.contentTypes[at]!;
  const ttl = operations.ttls[at]!;
  return putTxn({ key, value, contentType, ...(ttl === 0 ? undefined : { ttl }) }, []);
}

function toRead({ revision, entry }: GetResult): Answer {
  if (entry === undefined) return (answers) => answers.absent(revision);
  const { contentType, createRevision, version, expiresAt = 0, value } = entry;
  return (answers) =>
    answers.found(contentType, entry.revision, createRevision, version, expiresAt, value);
}

function toPut({ results }: CommitResult): Answer {
  const [{ revision, createRevision, version, expiresAt = 0 }] = results as [PutResult];
  return (answers) => answers.put(revision, createRevision, version, expiresAt);
}

function toDeletion({ results: [first], revision }: CommitResult): Answer {
  const isDeleted = first?.op === "delete" && first.deleted > 0;
  return (answers) => (isDeleted ? answers.deleted(revision) : answers.absent(revision));
}

function toFailure(error: unknown): Answer {
  const message = "an unexpected error; see the server's log";
  const known = error instanceof KvError ? error : new KvError("internal", message, {}, error);
  return (answers) => answers.failed(known);
}
