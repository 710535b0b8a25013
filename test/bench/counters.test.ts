/** What counts messages as their bytes come, cut anywhere. */

import { describe, expect, test } from "bun:test";
import { ChunkCounter } from "./chunks.ts";
import { clientFrameHeader, FrameCounter } from "./frames.ts";
import { NatsCounter } from "./nats.ts";

/** Frames of a server: those of a client, without their masks. */
function frame(opcode: number, payload: string): Buffer {
  const bytes = Buffer.from(payload);
  const header = clientFrameHeader(1, bytes.length).subarray(0, -4);
  header[0] = 0x80 | opcode;
  header[1]! &= 0x7f;
  return Buffer.concat([header, bytes]);
}

/** Cuts into pieces of `size`. */
function pieces(bytes: Buffer, size: number): Buffer[] {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

const SIZES = [1, 2, 3, 7, 100, 1_000_000];

describe("frames", () => {
  const texts = ["", "a", "b".repeat(125), "c".repeat(126), "d".repeat(65_536), "é"];
  const stream = Buffer.concat([
    ...texts.map((text) => frame(1, text)),
    frame(9, ""),
    frame(9, "x"),
  ]);

  test.each(SIZES)(
    "with something in them are counted in pieces of %d bytes, pings not",
    (size) => {
      const got: string[] = [];
      const counter = new FrameCounter((text) => void got.push(text.toString()));
      const counting = new FrameCounter();
      for (const piece of pieces(stream, size)) {
        counter.push(piece);
        counting.push(piece);
      }
      expect(got).toEqual(texts.slice(1));
      expect(counter.messages).toBe(5);
      expect(counting.messages).toBe(5);
    },
  );

  test("that close end the run", () => {
    expect(() => new FrameCounter().push(frame(8, "no"))).toThrow("closed");
  });
});

describe("messages of NATS", () => {
  const text = 'INFO {"a":1}\r\nPONG\r\nMSG key 1 3\r\nabc\r\nMSG key 1 6\r\nx\r\nMSG\r\nPING\r\n';

  test.each(SIZES)("are counted in pieces of %d bytes, whatever is in them", (size) => {
    let pongs = 0;
    const counter = new NatsCounter(() => void pongs++);
    for (const piece of pieces(Buffer.from(text), size)) counter.push(piece);
    expect([counter.messages, pongs]).toEqual([2, 1]);
  });

  test("are there once the end of their line is", () => {
    const counter = new NatsCounter(() => {});
    counter.push(Buffer.from("MSG key 1 3\r\nabc"));
    expect(counter.messages).toBe(0);
    counter.push(Buffer.from("\r\n"));
    expect(counter.messages).toBe(1);
  });

  test("that report an error end the run", () => {
    expect(() => new NatsCounter(() => {}).push(Buffer.from("-ERR 'no'\r\n"))).toThrow("no");
  });
});

describe("chunks of a body", () => {
  const body = "one\ntwo\nthree\n";
  const text = `8\r\n${body.slice(0, 8)}\r\n6\r\n${body.slice(8)}\r\n0\r\n\r\n`;

  test.each(SIZES)("are counted in pieces of %d bytes", (size) => {
    const counter = new ChunkCounter(true);
    const all = pieces(Buffer.from(text), size);
    for (const [index, piece] of all.entries()) {
      expect(counter.isComplete && index < all.length - 4).toBe(false);
      counter.push(piece);
    }
    expect(counter).toMatchObject({ bytes: body.length, lines: 3, isComplete: true });
  });

  test("that are none end the run", () => {
    expect(() => new ChunkCounter(false).push(Buffer.from("hello\r\n"))).toThrow("hello");
  });
});
