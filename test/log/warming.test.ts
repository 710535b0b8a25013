/** What is looked for ahead of the records of a log that are applied. */

import { describe, expect, test } from "bun:test";
import { RECORD_HEADER_BYTES } from "../../src/log/format.ts";
import { KeyIndex, position } from "../../src/log/key-index.ts";
import { Warming, WARM_KEYS_MAX } from "../../src/log/warming.ts";
import { encodeUtf8 } from "../../src/text.ts";

/** A window of records, of which only the lengths of the key and the key itself are there. */
function windowOf(keys: readonly string[]): Uint8Array {
  const bytes = new Uint8Array(88 * keys.length);
  const view = new DataView(bytes.buffer);
  for (const [at, key] of keys.entries()) {
    view.setUint16(88 * at + 16, key.length, true);
    bytes.set(encodeUtf8(key), 88 * at + RECORD_HEADER_BYTES);
  }
  return bytes;
}

class Watched extends KeyIndex {
  readonly counts: number[] = [];
  readonly seen: string[] = [];

  override findMany(...call: Parameters<KeyIndex["findMany"]>): void {
    const [bytes, starts, ends, from, to] = call;
    this.counts.push(to - from);
    for (let at = from; at < to; at++) {
      this.seen.push(Buffer.from(bytes.subarray(starts[at], ends[at])).toString());
    }
    super.findMany(...call);
  }
}

function indexOf(keys: readonly string[]): Watched {
  const index = new Watched();
  for (const [at, key] of keys.entries()) {
    const revision = at + 1;
    index.set(key, {
      revision,
      createRevision: revision,
      version: 1,
      contentType: "text/plain",
      deadline: 0,
      position: position(1, 128 + 88 * at),
      bytes: 88,
    });
  }
  return index;
}

describe("warming", () => {
  test("meets each key of a window once, however many there are, and leaves the index as it is", () => {
    const keys = Array.from({ length: 2 * WARM_KEYS_MAX + 3 }, (_, at) => `k${at}`);
    const index = indexOf(keys.filter((_, at) => at % 2 === 0));
    const before = [...index.all()];
    const bytes = windowOf(keys);
    const warming = new Warming();
    for (let at = 0; at < bytes.length; at += 88) warming.before(index, bytes, at);
    expect(index.seen).toEqual(keys);
    expect(index.counts).toEqual([WARM_KEYS_MAX, WARM_KEYS_MAX, 3]);
    expect([...index.all()]).toEqual(before);
  });

  test("goes on in the next window, also where that has the same place", () => {
    const index = indexOf(["a"]);
    const warming = new Warming();
    for (const key of ["a", "b"]) warming.before(index, windowOf([key]), 0);
    expect(index.seen).toEqual(["a", "b"]);
  });

  test("stays within the window where lengths are anything", () => {
    const index = indexOf(["a"]);
    const warming = new Warming();
    const bytes = windowOf(["a", "b", "c"]);
    bytes.fill(0xff, 88 + 14, 88 + 24);
    warming.before(index, bytes, 0);
    warming.before(index, bytes.subarray(0, RECORD_HEADER_BYTES - 1), 0);
    expect(index.seen).toEqual(["a"]);
    expect(index.counts).toEqual([1, 0]);
  });
});
