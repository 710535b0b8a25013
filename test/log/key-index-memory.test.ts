/** What the index takes of memory: counted, not measured, so that it is the same everywhere. */

import { expect, test } from "bun:test";
import { KeyColumns } from "../../src/log/key-columns.ts";
import { secretHash } from "../../src/log/key-hash.ts";
import { KeyIndex, type Newest } from "../../src/log/key-index.ts";

const KEYS = 200_000;
/** Bytes a key, where keys have 16 bytes: the tables and leaves that grew last are the emptiest. */
const BYTES_MAX = 72;

test.each([
  ["in order", (at: number) => at],
  ["downwards", (at: number) => KEYS - at],
  ["in no order", (at: number) => (at * 7_919) % KEYS],
])("a key of 16 bytes takes few bytes more than it has: %s", (_, numberOf) => {
  const index = fixedIndex();
  for (let at = 0; at < KEYS; at++) index.set(keyOf(numberOf(at)), newestOf(at + 1, 1));
  expect(index.bytesHeld / KEYS).toBeLessThan(BYTES_MAX);
  expect(index.bytesHeld / KEYS).toBeGreaterThan(48 + 6 + 4);
});

test("keys that change and change again take no more", () => {
  const index = fixedIndex();
  const put = (revision: number, type: string): void => {
    for (let at = 0; at < 20_000; at++) {
      const newest = { ...newestOf(revision, revision), contentType: type, deadline: revision };
      index.set(keyOf(at), newest);
    }
  };
  put(1, "a");
  const before = index.bytesHeld;
  for (let revision = 2; revision < 10; revision++) put(revision, String(revision));
  expect(index.bytesHeld).toBe(before);
});

test("the room of keys that are forgotten is taken by others, shorter ones too", () => {
  const index = fixedIndex();
  let revision = 0;
  let most = 0;
  for (const length of [16, 200, 16, 40, 100, 16]) {
    for (let at = 0; at < 20_000; at++) {
      index.set(keyOf(at).padEnd(length, "-"), newestOf(++revision, 1));
    }
    most = Math.max(most, index.bytesHeld);
    for (let at = 0; at < 20_000; at++) {
      index.set(keyOf(at).padEnd(length, "-"), newestOf(++revision, 0));
    }
    while (index.dropTombstones(revision, 1_000));
    expect([index.live, [...index.up("")].length]).toEqual([0, 0]);
  }
  // The longest ones need their own room once; all others find it there.
  expect(index.bytesHeld).toBeLessThanOrEqual(most);
  expect(most).toBeLessThan(20_000 * (32 + 200 + 48 + 20) + 2 ** 21);
});

test("leaves that lose most of their keys are joined", () => {
  const index = fixedIndex();
  for (let at = 0; at < KEYS; at++) index.set(keyOf(at), newestOf(at + 1, 1));
  const before = index.bytesHeld;
  let revision = KEYS;
  for (let at = 0; at < KEYS; at++) {
    if (at % 100 > 0) index.set(keyOf(at), newestOf(++revision, 0));
  }
  while (index.dropTombstones(revision, 1_000));
  const left = Array.from({ length: KEYS / 100 }, (_, at) => keyOf(100 * at));
  expect([...index.up("")]).toEqual(left);
  // What they leave is room for others: as many again need none.
  for (let at = 0; at < KEYS / 2; at++) index.set(`other${keyOf(at)}`.slice(0, 16), newestOf(1, 1));
  expect(index.bytesHeld).toBeLessThanOrEqual(before);
});

test("more content types than a number of 16 bits tells apart stay apart, and go", () => {
  const index = fixedIndex();
  const types = 70_000;
  for (let at = 0; at < types; at++) {
    index.set(keyOf(at), { ...newestOf(at + 1, 1), contentType: typeOf(at) });
  }
  const wrong = (right: (at: number) => string): number[] =>
    Array.from({ length: types }, (_, at) => at).filter(
      (at) => index.get(keyOf(at))?.contentType !== right(at),
    );
  expect(wrong(typeOf)).toEqual([]);
  const before = index.bytesHeld;
  // Each takes the type of another: none is gone while one has it.
  for (let at = 0; at < types; at++) {
    index.set(keyOf(at), { ...newestOf(types + at, 2), contentType: typeOf(types - 1 - at) });
  }
  expect(wrong((at) => typeOf(types - 1 - at))).toEqual([]);
  for (const type of ["a", "b"]) {
    for (let at = 0; at < types; at++) {
      index.set(keyOf(at), { ...newestOf(3 * types + at, 3), contentType: type });
    }
    expect(wrong(() => type)).toEqual([]);
  }
  // The first of these came when all small numbers were taken, the second one when none was.
  expect(index.bytesHeld).toBeLessThan(before);
});

test("keys of the greatest length leave their room to others when they are forgotten", () => {
  const index = fixedIndex();
  const put = (length: number, revision: number, version: number): void => {
    for (let at = 0; at < 1_000; at++) {
      index.set(keyOf(at).padEnd(length, "-"), newestOf(revision, version));
    }
  };
  let most = 0;
  for (let revision = 1; revision < 20; revision += 2) {
    put(revision % 4 === 1 ? 1_024 : 1_000, revision, 1);
    put(revision % 4 === 1 ? 1_024 : 1_000, revision + 1, 0);
    expect(index.dropTombstones(revision + 1, Infinity)).toBe(false);
    if (revision === 1) most = index.bytesHeld;
  }
  expect(index.bytesHeld).toBe(most);
  expect(most).toBeLessThan(1_000 * 1_200 + 2 ** 21);
});

test("what does not fit into an entry is in a copy, and is appended from it", () => {
  const index = fixedIndex();
  const types = 66_000;
  for (let at = 0; at < types; at++) {
    const version = at % 2 === 0 ? 2 ** 32 - 1 : 2 ** 40 + at;
    index.set(keyOf(at), { ...newestOf(at + 1, version), contentType: typeOf(at) });
  }
  const right = [...index.all()];
  const copy = index.copy();
  // The copy keeps what was there.
  for (let at = 0; at < types; at++) index.set(keyOf(at), newestOf(types, 1));
  const again = fixedIndex();
  const columns = new KeyColumns(1_000);
  for (let more = true; more;) {
    columns.count = 0;
    // oxlint-disable-next-line unicorn/no-array-fill-with-reference-type -- it is no array
    more = copy.fill(columns);
    expect(again.appendColumns(columns)).toBe(true);
  }
  again.endAppend();
  index.endCopy();
  expect(differing(again, right)).toEqual([]);
  // Each goes again as it came.
  for (let at = 0; at < types; at++) again.set(keyOf(at), newestOf(types, 1));
  expect(differing(again, [...index.all()])).toEqual([]);
});

// --- internal ---

/** The keys of which an index says something else. Far faster than to compare all at once. */
function differing(index: KeyIndex, right: readonly [string, Newest][]): string[] {
  const isOther = ([key, newest]: [string, Newest]): boolean => {
    const told = index.get(key);
    return told === undefined || !Bun.deepEquals(told, newest);
  };
  return right.filter(isOther).map(([key]) => key);
}

/** With a hash that is the same in every run. */
function fixedIndex(): KeyIndex {
  return new KeyIndex(secretHash(new Uint32Array([3, 5])));
}

function typeOf(at: number): string {
  return `type/${at}`;
}

function keyOf(at: number): string {
  return String(at).padStart(16, "0");
}

function newestOf(revision: number, version: number): Newest {
  const contentType = "a";
  return { revision, createRevision: 1, version, contentType, deadline: 0, position: 1, bytes: 88 };
}
