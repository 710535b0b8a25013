/** The requests that the loaders send, and what they take for the answer to each. */

import { describe, expect, test } from "bun:test";
import { Batch, fixedAnswerBytes } from "./batches.ts";
import { keyOf, valueOf } from "./keys.ts";
import { httpRequest, RequestBlock, respRequest } from "./requests.ts";

test("a request over HTTP has a length where it has a body", () => {
  expect(httpRequest("GET", "/a")).toBe("GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  expect(httpRequest("PUT", "/a", "é")).toEndWith("Content-Length: 2\r\n\r\né");
});

test("a command of Redis is an array of bulk strings", () => {
  expect(respRequest("SET", "key", "é")).toBe("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$2\r\né\r\n");
});

describe("a block of requests", () => {
  test("has whole requests, and begins anew behind the last", () => {
    const block = new RequestBlock({ dialect: "kv", operation: "get", keys: 100 });
    const first = textOf(block, 0);
    expect(first).toBe(httpRequest("GET", `/v1/kv/${keyOf(numberOf(first))}`));
    expect(textOf(block, 10_000)).toBe(first);
    expect(Buffer.from(block.request(1, 0)).toString()).toBe(textOf(block, 7_919));
  });

  test("puts the value that says whose it is", () => {
    const block = new RequestBlock({ dialect: "redis", operation: "put", keys: 100 });
    const text = textOf(block, 3);
    const number = numberOf(text);
    expect(text).toBe(respRequest("SET", keyOf(number), valueOf(number)));
  });

  test("asks for other keys each time where there are more of them than requests", () => {
    for (const operation of ["get", "put"] as const) {
      const keys = 600_000;
      const block = new RequestBlock({ dialect: "redis", operation, keys });
      const texts = Array.from({ length: 20 }, () => textOf(block, 7));
      expect(new Set(texts).size).toBe(20);
      for (const text of texts) {
        const key = keyOf(numberOf(text));
        const words = operation === "get" ? ["GET", key] : ["SET", key, valueOf(numberOf(text))];
        expect(text).toBe(respRequest(...words));
      }
      const last = operation === "get" ? valueOf(numberOf(texts.at(-1)!)) : "+OK\r\n";
      block.check(Buffer.from(last), 0, 7);
    }
  });

  test("takes the value of its own key only", () => {
    const block = new RequestBlock({ dialect: "kv", operation: "get", keys: 100 });
    const number = numberOf(textOf(block, 5));
    block.check(httpAnswer(valueOf(number)), 0, 5);
    expect(() => block.check(httpAnswer(valueOf(number + 1)), 0, 5)).toThrow();
    expect(() => block.check(httpAnswer(`${valueOf(number)}x`), 0, 5)).toThrow();
  });

  test("asks etcd for keys and values in base64, and knows them in its answer", () => {
    const block = new RequestBlock({ dialect: "etcd", operation: "get", keys: 1 });
    expect(textOf(block, 0)).toEndWith(`\r\n\r\n{"key":"${btoa(keyOf(0))}"}`);
    block.check(Buffer.from(`{"kvs":[{"value":"${btoa(valueOf(0))}"}]}`), 0, 0);
    expect(() => block.check(Buffer.from('{"header":{}}'), 0, 0)).toThrow();
  });
});

describe("a batch", () => {
  test("for Redis is its commands, one behind the other", () => {
    const batch = new Batch("redis", "put", 2);
    batch.setKey(0, 5);
    batch.setKey(1, 6);
    expect(batch.bytes.toString()).toBe(set(5) + set(6));
    batch.check(Buffer.from("+OK\r\n+OK\r\n"));
    expect(() => batch.check(Buffer.from("+OK\r\n-NO\r\n"))).toThrow();
    expect(() => batch.check(Buffer.from("+OK\r\n"))).toThrow();
  });

  test("of gets wants each value at its place", () => {
    const batch = new Batch("redis", "get", 2);
    batch.setKey(0, 5);
    batch.setKey(1, 6);
    expect(found(5, 6).length).toBe(batch.answerBytes);
    batch.check(found(5, 6));
    expect(() => batch.check(found(6, 5))).toThrow();
  });

  test("has answers of one length, which may come in pieces", () => {
    const size = fixedAnswerBytes(4, 0x2b);
    expect(size(Buffer.from("+ab"))).toBeUndefined();
    expect(size(Buffer.from("+abcd"))).toBe(4);
    expect(() => size(Buffer.from("-abc"))).toThrow();
  });
});

// --- internal ---

function textOf(block: RequestBlock, n: number): string {
  return Buffer.from(block.request(0, n)).toString();
}

function numberOf(text: string): number {
  return Number(/key:(\d{12})/.exec(text)![1]);
}

function httpAnswer(body: string): Buffer {
  return Buffer.from(`HTTP/1.1 200 OK\r\n\r\n${body}`);
}

function set(number: number): string {
  return respRequest("SET", keyOf(number), valueOf(number));
}

/** What Redis answers to gets of these. */
function found(...numbers: readonly number[]): Buffer {
  return Buffer.from(numbers.map((number) => `$100\r\n${valueOf(number)}\r\n`).join(""));
}
