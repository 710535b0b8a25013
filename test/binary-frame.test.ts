/** Binary frames: written and read again, cut off, and damaged. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { AnswerWriter, decodeAnswers, encodeError } from "../src/binary-answer.ts";
import { FRAME_HEADER, frameId, getUint64, setUint64, STATUS } from "../src/binary-frame.ts";
import {
  encodeRequest,
  operationBytes,
  RequestColumns,
  type FrameOperation,
} from "../src/binary-request.ts";
import { KvError } from "../src/errors.ts";
import { FRAME_ANSWER_BYTES } from "../src/limits.ts";
import { MANY, type ManyAnswers } from "../src/many.ts";
import { BYTES_TYPE, defaultContentType, JSON_TYPE, TEXT_TYPE } from "../src/protocol.ts";
import { randomSeed, withSeed, type Random } from "./support/random.ts";
import { rounds } from "./support/rounds.ts";

const safe = fc.oneof(
  fc.nat(100),
  fc.maxSafeNat(),
  fc.nat(2 ** 31 - 1).map((n) => n + 2 ** 31),
);
const contentType = fc.oneof(
  fc.constantFrom(BYTES_TYPE, TEXT_TYPE, JSON_TYPE, "text/html", "x".repeat(255)),
  fc.stringMatching(/^[!-~]{1,20}$/),
);

const operation: fc.Arbitrary<FrameOperation> = fc.oneof(
  fc.record({ kind: fc.constant(MANY.get), key: fc.uint8Array() }),
  fc.record({ kind: fc.constant(MANY.delete), key: fc.uint8Array() }),
  fc.record(
    {
      kind: fc.constant(MANY.put),
      key: fc.uint8Array(),
      value: fc.uint8Array({ maxLength: 300 }),
      contentType,
      ttl: safe,
    },
    { requiredKeys: ["kind", "key", "value"] },
  ),
);

const EMPTY = {
  contentType: "",
  revision: 0,
  createRevision: 0,
  version: 0,
  expiresAt: 0,
  value: [],
};

/** An answer as the call that makes it, and as it is read. */
type Call = (answers: ManyAnswers) => void;
type Answered = [call: Call, read: Record<string, unknown>];

const answer = fc.oneof(
  fc
    .tuple(contentType, safe, safe, safe, safe, fc.uint8Array({ maxLength: 300 }))
    .map(([contentType, revision, createRevision, version, expiresAt, value]): Answered => {
      const read = { status: STATUS.found, contentType, revision, createRevision, version };
      const call: Call = (answers) =>
        answers.found(contentType, revision, createRevision, version, expiresAt, value);
      return [call, { ...read, expiresAt, value: [...value] }];
    }),
  fc
    .tuple(safe, safe, safe, safe)
    .map(([revision, createRevision, version, expiresAt]): Answered => {
      const call: Call = (answers) => answers.put(revision, createRevision, version, expiresAt);
      return [call, { ...EMPTY, status: STATUS.put, revision, createRevision, version, expiresAt }];
    }),
  safe.map((revision): Answered => {
    const call: Call = (answers) => answers.absent(revision);
    return [call, { ...EMPTY, status: STATUS.absent, revision }];
  }),
  safe.map((revision): Answered => {
    const call: Call = (answers) => answers.deleted(revision);
    return [call, { ...EMPTY, status: STATUS.deleted, revision }];
  }),
  fc.constant<Answered>([(answers) => answers.unread(), { ...EMPTY, status: STATUS.unread }]),
);

test("an integer of 64 bits is what it was", () => {
  const view = new DataView(new ArrayBuffer(8));
  for (const value of [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    setUint64(view, 0, value);
    expect(view.getBigUint64(0, true)).toBe(BigInt(value));
    expect(getUint64(view, 0)).toBe(value);
  }
});

describe("operations", () => {
  test("are what they were, whatever frame was read before", () => {
    const columns = new RequestColumns();
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), fc.array(operation), (id, operations) => {
        const frame = encodeRequest(id, operations);
        const sizes = operations.map((operation) => operationBytes(operation));
        expect(frame.length).toBe(sizes.reduce((sum, size) => sum + size, FRAME_HEADER));
        columns.decode(within(frame));
        expect([columns.id, frameId(frame)]).toEqual([id, id]);
        expect(read(columns)).toEqual(operations.map((operation) => whole(operation)));
        expect(columns.reads).toBe(operations.some(({ kind }) => kind === MANY.get));
        expect(columns.writes).toBe(operations.some(({ kind }) => kind !== MANY.get));
      }),
      { numRuns: rounds(300) },
    );
  });

  test("that are cut off anywhere are refused", () => {
    const columns = new RequestColumns();
    fc.assert(
      fc.property(fc.array(operation, { minLength: 1, maxLength: 4 }), (operations) => {
        const frame = encodeRequest(1, operations);
        for (let length = 0; length < frame.length; length++) {
          const cut = new Uint8Array(frame.subarray(0, length));
          expect(failureOf(() => columns.decode(cut))).toBe("invalid_argument");
        }
        expect(failureOf(() => columns.decode(new Uint8Array([...frame, 0])))).toBeDefined();
      }),
      { numRuns: rounds(50) },
    );
  });

  test("that are damaged are refused, or are other operations within the frame", () =>
    withSeed(randomSeed(), (random) => {
      const columns = new RequestColumns();
      for (let round = 0; round < rounds(3_000); round++) {
        const operations = sample(operation, random);
        const frame = damaged(encodeRequest(1, operations), random);
        const failure = failureOf(() => columns.decode(frame));
        if (failure !== undefined) continue;
        for (let at = 0; at < columns.count; at++) {
          const [start, end] = [columns.keyStarts[at]!, columns.keyEnds[at]!];
          expect(start <= end && end <= frame.length).toBe(true);
          if (columns.kinds[at] !== MANY.put) continue;
          expect(columns.valueStarts[at]).toBe(end);
          expect(columns.valueEnds[at]! >= end && columns.valueEnds[at]! <= frame.length).toBe(
            true,
          );
        }
      }
    }));
});

describe("answers", () => {
  test("are what they were, whatever frame was written before", () => {
    const writer = new AnswerWriter(unexpected);
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), fc.array(answer), (id, answers) => {
        writer.begin(id);
        for (const [call] of answers) call(writer);
        expect(writer.count).toBe(answers.length);
        const frame = decodeAnswers(within(writer.end()));
        expect(frame.id).toBe(id);
        if (frame.answers instanceof KvError) throw frame.answers;
        const read = frame.answers.map((one) => Object.assign(one, { value: [...one.value] }));
        expect(read).toEqual(answers.map(([, read]) => read) as never);
      }),
      { numRuns: rounds(300) },
    );
  });

  test("carry errors, each of its own operation or of all", () => {
    const error = new KvError("too_large", "far too large: ä", { limit: 7 });
    const writer = new AnswerWriter(unexpected);
    writer.begin(1);
    writer.failed(error);
    writer.absent(5);
    const { answers } = decodeAnswers(writer.end());
    expect(answers).toMatchObject([
      { status: STATUS.failed, error: shownError(error) },
      { revision: 5 },
    ]);
    const whole = decodeAnswers(encodeError(9, error));
    expect(whole).toMatchObject({ id: 9, answers: shownError(error) });
  });

  test("report what is a fault of the server", () => {
    const reported: unknown[] = [];
    const writer = new AnswerWriter((error) => reported.push(error));
    writer.begin(1);
    const fault = new KvError("internal", "a fault");
    writer.failed(new KvError("too_large", "large"));
    writer.failed(fault);
    expect(reported).toEqual([fault]);
  });

  test("are full once they have passed their bound, and not before", () => {
    const writer = new AnswerWriter(unexpected);
    const fitting = new Uint8Array(FRAME_ANSWER_BYTES - FRAME_HEADER - 40);
    writer.begin(1);
    writer.found(BYTES_TYPE, 1, 1, 1, 0, fitting);
    expect(writer.isFull).toBe(false);
    writer.absent(1);
    expect(writer.isFull).toBe(true);
    const { answers } = decodeAnswers(writer.end());
    expect(answers).toMatchObject([{ value: { length: fitting.length } }, { revision: 1 }]);
    writer.begin(2);
    expect(writer.isFull).toBe(false);
    // What was large is not kept for ever.
    expect(writer.end().buffer.byteLength).toBeLessThan(1024 * 1024);
  });

  test("that are cut off or damaged are an error, or other answers", () =>
    withSeed(randomSeed(), (random) => {
      const writer = new AnswerWriter(unexpected);
      for (let round = 0; round < rounds(2_000); round++) {
        const calls = sample(answer, random);
        writer.begin(1);
        for (const [call] of calls) call(writer);
        if (random.oneIn(4)) writer.failed(new KvError("too_large", "large"));
        const frame = writer.end().slice();
        const cut = frame.slice(0, random.below(frame.length));
        expect(() => decodeAnswers(cut)).toThrow();
        try {
          decodeAnswers(damaged(frame, random));
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          expect(error).not.toBeInstanceOf(RangeError);
        }
      }
    }));
});

/** Up to three of a kind. */
function sample<T>(kind: fc.Arbitrary<T>, random: Random): T[] {
  return fc.sample(fc.array(kind, { maxLength: 3 }), {
    numRuns: 1,
    seed: random.below(2 ** 31),
  })[0]!;
}

/** The same bytes in the middle of others, where no offset is a multiple of 8. */
function within(frame: Uint8Array): Uint8Array {
  const room = new Uint8Array(frame.length + 30).fill(0xaa);
  room.set(frame, 13);
  return room.subarray(13, 13 + frame.length);
}

function damaged(frame: Uint8Array, random: Random): Uint8Array {
  const copy = frame.slice();
  for (let count = 1 + random.below(3); count > 0; count--) {
    copy[random.below(copy.length)] = random.oneIn(2)
      ? random.below(256)
      : random.pick([0, 1, 255]);
  }
  return copy;
}

function read(columns: RequestColumns): unknown[] {
  return Array.from({ length: columns.count }, (_, at) => {
    const key = [...columns.bytes.subarray(columns.keyStarts[at], columns.keyEnds[at])];
    if (columns.kinds[at] !== MANY.put) return { kind: columns.kinds[at], key };
    const value = columns.bytes.subarray(columns.valueStarts[at], columns.valueEnds[at]);
    const [contentType, ttl] = [columns.contentTypes[at], columns.ttls[at]];
    return { kind: MANY.put, key, value: [...value], contentType, ttl };
  });
}

/** As `read` shows it. */
function whole({ kind, key, value, contentType, ttl = 0 }: FrameOperation): unknown {
  if (value === undefined) return { kind, key: [...key] };
  const type = contentType ?? defaultContentType(value);
  return { kind, key: [...key], value: [...value], contentType: type, ttl };
}

function failureOf(run: () => void): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof KvError) return error.code;
    throw error;
  }
}

function shownError({ code, message, details }: KvError): unknown {
  return { code, message, details };
}

function unexpected(error: unknown): void {
  throw error;
}
