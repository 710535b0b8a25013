/** Frames: how each is written for each way, and what a commit becomes for each filter. */

import { describe, expect, test } from "bun:test";
import type { Commit, Event } from "../../src/kv.ts";
import { EncodedCommit, type Encoding } from "../../src/watch/encoded-commit.ts";
import {
  changeFrame,
  createdFrame,
  endFrame,
  progressFrame,
  resetFrame,
  stateFrame,
  syncFrame,
  type Frame,
} from "../../src/watch/frames.ts";
import { bytes, TEXT } from "../support/stores.ts";

const AT = { revision: 7, store: "s" };
const PLAIN: Encoding = { number: 3, keys: false, prev: false };
const ENTRY = {
  key: "a",
  value: bytes("1"),
  contentType: TEXT,
  revision: 7,
  createRevision: 5,
  version: 2,
};
const COMMIT: Commit = {
  revision: 7,
  events: [
    { type: "put", ...ENTRY },
    { type: "delete", key: "b", revision: 7 },
  ],
};

function withPrevious(event: Event): Event {
  return { ...event, prev: { ...ENTRY, key: event.key } };
}

function text(encoding: Partial<Encoding>): string {
  const encoded = new EncodedCommit(COMMIT, withPrevious);
  return encoded.frame({ ...PLAIN, ...encoding }, [0, 1], 10_000)!.socketText;
}

function ways(frame: Frame): [socket: string, ndjson: string, sse: string] {
  const [ndjson, sse] = [frame.ndjson, frame.sse].map((bytes) => Buffer.from(bytes).toString());
  return [frame.socketText, ndjson!, sse!];
}

describe("a frame", () => {
  const position = '"revision":7,"store":"s"';
  const cases: [name: string, frame: Frame, type: string, fields: string, id?: number][] = [
    ["created, where changes follow", createdFrame(3, AT, true), "created", position, 7],
    ["created, where the state follows", createdFrame(3, AT, false), "created", position],
    ["reset", resetFrame(3, AT), "reset", position],
    ["sync", syncFrame(3, AT), "sync", position, 7],
    ["state", stateFrame(3, ['{"key":"ä"}', "{}"], 9), "state", '"entries":[{"key":"ä"},{}]'],
    ["progress", progressFrame(3, 8), "progress", '"revision":8', 8],
    ["end", endFrame(3, "compacted"), "end", '"reason":"compacted"'],
    [
      "change",
      changeFrame(3, 7, ["{}"], 3, { more: false }),
      "change",
      '"revision":7,"events":[{}]',
      7,
    ],
    [
      "a part of a change",
      changeFrame(3, 7, ["{}", "{}"], 6, { more: true }),
      "change",
      '"revision":7,"events":[{},{}],"more":true',
    ],
    [
      "a change that stands for several",
      changeFrame(3, 7, ["{}"], 3, { more: false, skipped: 0 }),
      "change",
      '"revision":7,"events":[{}],"skipped":0',
      7,
    ],
  ];
  for (const [name, frame, type, fields, id] of cases) {
    test(`${name}, is written for each way`, () => {
      const event = id === undefined ? "" : `id: ${id}\n`;
      expect(ways(frame)).toEqual([
        `{"watch":3,"type":"${type}",${fields}}`,
        `{"type":"${type}",${fields}}\n`,
        `${event}event: ${type}\ndata: {${fields}}\n\n`,
      ]);
      expect(frame.id).toBe(id);
    });
  }

  test("is written once for each way, however many get it", () => {
    const frame = progressFrame(3, 8);
    expect(frame.sse).toBe(frame.sse);
    expect(frame.ndjson).toBe(frame.ndjson);
  });

  test("has no end of a line within the data of an event, whatever the values are", () => {
    const value = "\n\r\n\r\u2028\u0085\0";
    const commit = { revision: 7, events: [{ type: "put", ...ENTRY, value: bytes(value) }] };
    const { frame } = new EncodedCommit(commit as Commit).frameFrom(PLAIN, 0, 1_000);
    const text = Buffer.from(frame.sse).toString();
    expect(text.slice(0, -2).split(/\r\n|\r|\n/).length).toBe(3);
    const data = text.slice(text.indexOf("data: ") + 6);
    expect((JSON.parse(data) as { events: { value: string }[] }).events[0]!.value).toBe(value);
  });

  test("takes as many bytes as it says, give or take what stands around it", () => {
    const value = bytes("ä€𝄞".repeat(500));
    const commit = { revision: 7, events: [{ type: "put", ...ENTRY, value }] } as Commit;
    const { frame } = new EncodedCommit(commit).frameFrom(PLAIN, 0, 100_000);
    const taken = [frame.sse.length, frame.ndjson.length, bytes(frame.socketText).length];
    for (const size of taken) {
      expect(size).toBeLessThanOrEqual(frame.bytes);
      expect(size).toBeGreaterThan(frame.bytes - 100);
    }
  });
});

describe("a commit", () => {
  const before = '{"key":"b","value":"1",';
  const beforeKeys = '{"key":"b","contentType":';

  test("is shown with and without values, and with what was there before", () => {
    expect(text({})).toContain('"value":"1"');
    expect(text({})).not.toContain("prev");
    expect(text({ keys: true })).not.toContain("value");
    expect(text({ prev: true })).toContain(`"key":"b","revision":7,"prev":${before}`);
    expect(text({ prev: true, keys: true })).toContain(`"prev":${beforeKeys}`);
    expect(text({ prev: true, keys: true })).not.toContain("value");
  });

  test("is shown in each way from one, whichever was asked for first", () => {
    const encoded = new EncodedCommit(COMMIT, withPrevious);
    const options = [{}, { keys: true }, { prev: true }, { prev: true, keys: true }];
    for (const option of [...options, ...options.toReversed()]) {
      const frame = encoded.frame({ ...PLAIN, ...option }, [0, 1], 10_000);
      expect(frame!.socketText).toBe(text(option));
    }
  });

  test("asks once for what was there before, and only where somebody wants it", () => {
    const asked: string[] = [];
    const encoded = new EncodedCommit(COMMIT, (event) => {
      asked.push(event.key);
      return event;
    });
    encoded.frame(PLAIN, [0, 1], 10_000);
    expect(asked).toEqual([]);
    for (const keys of [true, false]) encoded.frame({ ...PLAIN, keys, prev: true }, [1], 10_000);
    expect(asked).toEqual(["b"]);
  });

  test("has no frame where what was there before is not at hand", () => {
    const encoded = new EncodedCommit(COMMIT, () => undefined);
    expect(encoded.frame({ ...PLAIN, prev: true }, [0], 10_000)).toBeUndefined();
    expect(encoded.frame(PLAIN, [0], 10_000)).toBeDefined();
  });

  test("has no frame that passes the limit, not by a byte, and is split below it", () => {
    const whole = new EncodedCommit(COMMIT).frame(PLAIN, [0, 1], 10_000)!.bytes;
    const encoded = new EncodedCommit(COMMIT);
    expect(encoded.frame(PLAIN, [0, 1], whole)).toBeDefined();
    expect(encoded.frame(PLAIN, [0, 1], whole - 1)).toBeUndefined();
    expect(encoded.frameFrom(PLAIN, 0, whole).end).toBe(2);
    const first = encoded.frameFrom(PLAIN, 0, whole - 1);
    expect(first.end).toBe(1);
    expect(first.frame.id).toBeUndefined();
    expect(encoded.frameFrom(PLAIN, 1, whole - 1)).toMatchObject({ end: 2, frame: { id: 7 } });
  });

  test("whose value alone is too large counts where the value is shown", () => {
    const large = bytes("x".repeat(1_000));
    const commit: Commit = { revision: 7, events: [{ type: "put", ...ENTRY, value: large }] };
    const encoded = new EncodedCommit(commit, (event) => ({ ...event, prev: ENTRY }));
    expect(encoded.frame(PLAIN, [0], 999)).toBeUndefined();
    expect(encoded.frame({ ...PLAIN, keys: true }, [0], 999)).toBeDefined();
    const later = new EncodedCommit(COMMIT, (event) => ({
      ...event,
      prev: { ...ENTRY, value: large },
    }));
    expect(later.frame({ ...PLAIN, prev: true }, [1], 999)).toBeUndefined();
    expect(later.frame({ ...PLAIN, prev: true, keys: true }, [1], 999)).toBeDefined();
  });
});
