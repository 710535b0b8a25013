/** Addresses as people write them: what is understood, and what is refused with which reason. */

import { expect, test } from "bun:test";
import { parseServerUrl } from "../../src/client/url.ts";
import { KvError } from "../../src/errors.ts";

const understood: [text: string, http: string, socket: string, loopback: boolean][] = [
  ["http://127.0.0.1:5000", "http://127.0.0.1:5000", "ws://127.0.0.1:5000", true],
  ["http://127.0.0.1:5000/", "http://127.0.0.1:5000", "ws://127.0.0.1:5000", true],
  ["HTTP://LocalHost:5000", "http://localhost:5000", "ws://localhost:5000", true],
  ["https://kv.example.com", "https://kv.example.com", "wss://kv.example.com", false],
  ["http://kv.example.com", "http://kv.example.com", "ws://kv.example.com", false],
  [
    "https://example.com/team/kv//",
    "https://example.com/team/kv",
    "wss://example.com/team/kv",
    false,
  ],
  [":5001", "http://127.0.0.1:5001", "ws://127.0.0.1:5001", true],
  [":5001/kv", "http://127.0.0.1:5001/kv", "ws://127.0.0.1:5001/kv", true],
  ["db:7000", "http://db:7000", "ws://db:7000", false],
  ["localhost:5000", "http://localhost:5000", "ws://localhost:5000", true],
  ["db", "http://db:5000", "ws://db:5000", false],
  ["db/prefix", "http://db:5000/prefix", "ws://db:5000/prefix", false],
  ["db:80", "http://db", "ws://db", false],
  ["[::1]:5000", "http://[::1]:5000", "ws://[::1]:5000", true],
  ["http://[::1]", "http://[::1]", "ws://[::1]", true],
  ["  127.0.0.2:9  ", "http://127.0.0.2:9", "ws://127.0.0.2:9", true],
  ["a.localhost:1", "http://a.localhost:1", "ws://a.localhost:1", true],
  ["127.example.com:1", "http://127.example.com:1", "ws://127.example.com:1", false],
];

for (const [text, http, socket, loopback] of understood) {
  test(`${JSON.stringify(text)} is understood as ${http}`, () => {
    expect(parseServerUrl(text)).toEqual({ http, socket, loopback });
  });
}

const refused: [text: string, why: string][] = [
  ["", "is empty"],
  ["   ", "is empty"],
  ["5000", 'did you mean ":5000"?'],
  ["http://5000", 'did you mean ":5000"?'],
  ["ws://localhost:5000", 'scheme "ws"'],
  ["redis://localhost", 'scheme "redis"'],
  ["http://", "names no host"],
  ["http:///x", "names no host"],
  ["/v1", "names no host"],
  ["::1", "in brackets"],
  ["::1:5000", "in brackets"],
  ["host:port", 'the port "port"'],
  ["host:", 'the port ""'],
  [":0", 'the port "0"'],
  ["host:65536", 'the port "65536"'],
  ["http://host:99999", 'the port "99999"'],
  ["http://user:secret@host", "user name"],
  ["user@host:1", "user name"],
  ["host:1?x=1", "query or fragment"],
  ["http://host/#a", "query or fragment"],
  ["ho st:1", "space or backslash"],
  ["host\\a:1", "space or backslash"],
  ["http://ho%zzst", "not a valid URL"],
  ["[::1", "not closed"],
  ["[::zz]:1", "not a valid URL"],
];

for (const [text, why] of refused) {
  test(`${JSON.stringify(text)} is refused: ${why}`, () => {
    const error = thrown(() => parseServerUrl(text));
    expect(error).toBeInstanceOf(KvError);
    expect((error as KvError).code).toBe("invalid_argument");
    expect((error as KvError).message).toContain(why);
    expect((error as KvError).message).not.toContain("\n");
    expect((error as KvError).message).not.toContain("secret");
  });
}

function thrown(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
