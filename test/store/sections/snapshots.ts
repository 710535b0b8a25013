/**
 * Copies of a store: whole, of one revision, or of what came after one. A store without them says so
 * by its capabilities, and has nothing to hold here. What a copy holds is read by the engine's own
 * reader; a restore of it is tested with the engine.
 */

import { expect, test } from "bun:test";
import type { SnapshotOptions, Store } from "../../../src/kv.ts";
import { verifySnapshot, type SnapshotSummary } from "../../../src/log/snapshot-reader.ts";
import { failure, put, write } from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

export function snapshotsSection(subject: Subject): void {
  const { fresh } = subject;
  const hasCopies = (): boolean => subject.store.capabilities.snapshot === true;

  test("a store has copies where its capabilities say so", async () => {
    const { store } = subject;
    if (hasCopies()) expect(await summaryOf(store)).toMatchObject({ bytes: expect.any(Number) });
    else expect(store.capabilities.snapshot ?? false).toBe(false);
  });

  test("a copy reaches up to what was answered before it, and says of which store it is", async () => {
    const { store } = subject;
    if (!hasCopies()) return;
    const { revision } = await write(store, put(`${fresh()}a`));
    const status = await store.status();
    const { store: id, oldest } = status;
    expect(await summaryOf(store)).toMatchObject({ store: id, revision, oldest });
  });

  test("a copy of what came after a revision has that and nothing else", async () => {
    const { store } = subject;
    if (!hasCopies()) return;
    const { revision: since } = await write(store, put(`${fresh()}a`));
    expect(await summaryOf(store, { since })).toMatchObject({ since, revision: since, commits: 0 });
    await write(store, put(`${fresh()}b`));
    const { revision } = await write(store, put(`${fresh()}c`), put(`${fresh()}d`));
    expect(await summaryOf(store, { since })).toMatchObject({ since, revision, commits: 2 });
  });

  test("a copy shows nothing that is written while it is read", async () => {
    const { store } = subject;
    if (!hasCopies()) return;
    for (let count = 0; count < 20; count++) {
      await write(store, put(`${fresh()}large`, "x".repeat(100_000)));
    }
    const { revision } = await store.status();
    const copy = store.snapshot!()[Symbol.asyncIterator]();
    const first = await copy.next();
    await write(store, put(`${fresh()}later`));
    async function* pieces() {
      if (first.done !== true) yield first.value;
      for (let next = await copy.next(); next.done !== true; next = await copy.next()) {
        yield next.value;
      }
    }
    expect((await read(pieces())).revision).toBe(revision);
  });

  test("a revision that is not there yet is refused, and one that is forgotten compacted", async () => {
    const { store } = subject;
    if (!hasCopies()) return;
    await write(store, put(`${fresh()}a`));
    const { revision } = await write(store, put(`${fresh()}b`));
    await failure(() => summaryOf(store, { since: revision + 1 }), "invalid_argument");
    await failure(() => summaryOf(store, { since: -1 }), "invalid_argument");
    await store.compact(revision);
    const { details } = await failure(() => summaryOf(store, { since: revision - 1 }), "compacted");
    expect(details.oldest).toBe(revision);
    expect(await summaryOf(store, { since: revision })).toMatchObject({ since: revision });
  });

  test("a reader that stops leaves the store as it is", async () => {
    const { store } = subject;
    if (!hasCopies()) return;
    for (let count = 0; count < 20; count++) {
      for await (const _ of store.snapshot!()) break;
    }
    await write(store, put(`${fresh()}a`));
    await summaryOf(store);
  });
}

// --- internal ---

function summaryOf(store: Store, options?: SnapshotOptions): Promise<SnapshotSummary> {
  return read(store.snapshot!(options));
}

async function read(pieces: AsyncIterable<Uint8Array>): Promise<SnapshotSummary> {
  let summary: SnapshotSummary | undefined;
  for await (const _ of verifySnapshot(pieces, (whole) => void (summary = whole)));
  return summary!;
}
