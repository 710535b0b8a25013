/** Many callers at once: one order, and nobody sees anything else. */

import { expect, test } from "bun:test";
import type { Store } from "../../../src/kv.ts";
import { changesBetween, put, textOf, write } from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

export function concurrencySection(subject: Subject): void {
  const { fresh } = subject;

  test("commits that are sent together get revisions of their own", async () => {
    const { store } = subject;
    const prefix = fresh();
    const before = (await store.status()).revision;
    const sent = Array.from({ length: 100 }, (_, at) => write(store, put(`${prefix}${at}`)));
    const revisions = (await Promise.all(sent)).map(({ revision }) => revision);
    expect(new Set(revisions).size).toBe(100);
    expect(Math.min(...revisions)).toBeGreaterThan(before);
    expect(Math.max(...revisions)).toBe((await store.status()).revision);
    for (const [at, revision] of revisions.entries()) {
      expect((await store.get(`${prefix}${at}`)).entry!.revision).toBe(revision);
    }
  });

  test("of many that create a key, one does, and all others see that it is there", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const sent = Array.from({ length: 30 }, (_, at) =>
      store.commit({
        checks: [{ key, revision: 0 }],
        then: [put(key, String(at))],
        else: [{ op: "get", key }],
      }),
    );
    const results = await Promise.all(sent);
    const winners = results.filter(({ succeeded }) => succeeded);
    expect(winners).toHaveLength(1);
    const { revision } = winners[0]!;
    for (const result of results) {
      if (result.succeeded) continue;
      const [read] = result.results;
      expect(read!.op === "get" && read!.entry!.revision).toBe(revision);
      expect(result.revision).toBeGreaterThanOrEqual(revision);
    }
    expect(await textOf(store, key)).toBe(String(results.findIndex((one) => one.succeeded)));
  });

  test("a counter behind a check loses no increment", async () => {
    const { store } = subject;
    const key = `${fresh()}counter`;
    await write(store, put(key, "0"));
    const increment = async (): Promise<void> => {
      while (true) {
        const { entry } = await store.get(key);
        const next = Number(Buffer.from(entry!.value).toString()) + 1;
        const checks = [{ key, revision: entry!.revision }];
        const { succeeded } = await store.commit({ checks, then: [put(key, String(next))] });
        if (succeeded) return;
      }
    };
    const workers = Array.from({ length: 5 }, async () => {
      for (let round = 0; round < 6; round++) await increment();
    });
    await Promise.all(workers);
    expect(await textOf(store, key)).toBe("30");
    expect((await store.get(key)).entry!.version).toBe(31);
  });

  test("what many write at once, every stream sees once and in order", async () => {
    const { store } = subject;
    const prefix = fresh();
    const range = { prefix };
    const from = (await store.status()).revision + 1;
    const end = Promise.withResolvers<number>();
    const early = follow(store, from, prefix, end.promise);
    const revisions: number[] = [];
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let round = 0; round < 15; round++) {
        const key = `${prefix}${round % 3}`;
        revisions.push((await write(store, put(key, `${writer}/${round}`))).revision);
      }
    });
    await Promise.all(writers);
    const expected = revisions.toSorted((a, b) => a - b);
    end.resolve(expected.at(-1)!);
    expect(await early).toEqual(expected);
    const late = await changesBetween(store, from, expected.at(-1)!, { range });
    expect(late.map(({ revision }) => revision)).toEqual(expected);
    for (const name of ["0", "1", "2"]) {
      const events = late.flatMap(({ events }) => events.filter(({ key }) => key.endsWith(name)));
      const versions = events.map((event) => (event.type === "put" ? event.version : 0));
      expect(versions).toEqual(Array.from({ length: 40 }, (_, at) => at + 1));
    }
  });

  test("what a stream has shown, a read shows too", async () => {
    const { store } = subject;
    const prefix = fresh();
    const from = (await store.status()).revision + 1;
    const writing = (async () => {
      for (let round = 0; round < 20; round++) await write(store, put(`${prefix}a`, `${round}`));
    })();
    let seen = 0;
    for await (const { commits } of store.changes(from, { range: { prefix } })) {
      for (const { revision } of commits) {
        const read = await store.get(`${prefix}a`);
        expect(read.revision).toBeGreaterThanOrEqual(revision);
        expect(read.entry!.revision).toBeGreaterThanOrEqual(revision);
        seen++;
      }
      if (seen === 20) break;
    }
    await writing;
  });
}

// --- internal ---

/** The revisions of a stream up to one that is known only later. */
async function follow(
  store: Store,
  from: number,
  prefix: string,
  end: Promise<number>,
): Promise<number[]> {
  const abort = new AbortController();
  const seen: number[] = [];
  let reached = from - 1;
  let last = Number.POSITIVE_INFINITY;
  void end.then((revision) => {
    last = revision;
    if (reached >= last) abort.abort();
  });
  const { signal } = abort;
  for await (const chunk of store.changes(from, { range: { prefix }, signal })) {
    seen.push(...chunk.commits.map(({ revision }) => revision));
    reached = chunk.through;
    if (reached >= last) break;
  }
  return seen;
}
