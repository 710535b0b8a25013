/** What the loaders take for an answer, and what they refuse. */

import { describe, expect, test } from "bun:test";
import { bodyStart, httpAnswerBytes, respAnswerBytes, upgradeAnswerBytes } from "./answers.ts";

const head = (...lines: readonly string[]): string => `${lines.join("\r\n")}\r\n\r\n`;

describe("an answer over HTTP", () => {
  const ok = head("HTTP/1.1 200 OK", "Date: now", "Content-Length: 3", 'ETag: "1"');

  test("is as long as its head and what its length says", () => {
    const answer = Buffer.from(`${ok}abc`);
    expect(httpAnswerBytes(answer)).toBe(answer.length);
    expect(httpAnswerBytes(Buffer.from(`${ok}abcHTTP`))).toBe(answer.length);
    expect(answer.toString("utf8", bodyStart(answer))).toBe("abc");
  });

  test("is waited for, wherever it was cut", () => {
    const answer = Buffer.from(`${ok}abc`);
    for (let cut = 0; cut < answer.length; cut++) {
      expect(httpAnswerBytes(answer.subarray(0, cut))).toBeUndefined();
    }
  });

  test("may have its length elsewhere than the one before, and in other letters", () => {
    for (const lines of [
      ["HTTP/1.1 201 Created", "content-length: 2"],
      ["HTTP/1.1 200 OK", "A: b", "CONTENT-LENGTH: 2"],
      ["HTTP/1.1 200 OK", "Content-Length: 2", "A: b"],
    ]) {
      const answer = Buffer.from(`${head(...lines)}ab`);
      expect(httpAnswerBytes(answer)).toBe(answer.length);
    }
  });

  test("does not have its length in the middle of a line, where the one before had it", () => {
    const before = Buffer.from(`${head("HTTP/1.1 200 OK", "Content-Length: 3")}abc`);
    expect(httpAnswerBytes(before)).toBe(before.length);
    const lines = ["HTTP/1.1 200", "A: content-length: 9", "Content-Length: 2"];
    const answer = Buffer.from(`${head(...lines)}ab`);
    expect(httpAnswerBytes(answer)).toBe(answer.length);
  });

  test("is refused when it is no success, or does not say its length", () => {
    const refused = Buffer.from(`${head("HTTP/1.1 404 Not Found", "Content-Length: 2")}no`);
    expect(() => httpAnswerBytes(refused)).toThrow("404");
    const endless = head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked");
    expect(() => httpAnswerBytes(Buffer.from(endless))).toThrow("chunked");
    // A length that stands in another header is none.
    const other = head("HTTP/1.1 200 OK", "X-Content-Length: 2");
    expect(() => httpAnswerBytes(Buffer.from(`${other}ab`))).toThrow();
  });
});

describe("an answer in RESP", () => {
  test.each(["+OK\r\n", ":12\r\n", "$3\r\nabc\r\n", "$0\r\n\r\n"])(
    "%j is whole, and not before",
    (text) => {
      const answer = Buffer.from(text);
      expect(respAnswerBytes(answer)).toBe(answer.length);
      expect(respAnswerBytes(Buffer.from(`${text}+`))).toBe(answer.length);
      for (let cut = 0; cut < answer.length; cut++) {
        expect(respAnswerBytes(answer.subarray(0, cut))).toBeUndefined();
      }
    },
  );

  test.each(["-ERR unknown\r\n", "$-1\r\n", "*1\r\n+a\r\n"])("%j is refused", (text) => {
    expect(() => respAnswerBytes(Buffer.from(text))).toThrow();
  });
});

test("an upgrade is taken when it is one", () => {
  const upgrade = Buffer.from(head("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket"));
  expect(upgradeAnswerBytes(upgrade)).toBe(upgrade.length);
  expect(upgradeAnswerBytes(upgrade.subarray(0, 20))).toBeUndefined();
  expect(() => upgradeAnswerBytes(Buffer.from(head("HTTP/1.1 200 OK")))).toThrow("200");
});
