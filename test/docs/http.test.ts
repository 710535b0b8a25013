/** Replays the commands of `docs/http.md`, in order, against a fresh server on the log engine. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ERROR_CODES } from "../../src/errors.ts";
import { STATUSES } from "../../src/http/answers.ts";
import { ROUTES } from "../../src/http/routes.ts";
import {
  BODIES_BYTES_MAX,
  CONNECTION_IDLE_SECONDS,
  ENTRY_STREAMS_MAX,
  JSON_BODY_BYTES_MAX,
  JSON_VALUES_MAX,
  KEY_WAITS_MAX,
  LIMITS,
  QUEUE_BYTES_MAX,
  QUEUE_TXNS_MAX,
  SNAPSHOT_STREAMS_MAX,
  STREAM_IDLE_SECONDS,
  TTL_MS_MAX,
  WAIT_MS_DEFAULT,
  WAIT_MS_MAX,
  WATCH_RANGES_MAX,
  WATCH_STREAMS_MAX,
  WATCHERS_LISTED_MAX,
} from "../../src/limits.ts";
import { curlRequest } from "../support/curl.ts";
import { sendUntil, type RawAnswer } from "../support/raw-http.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

const PAGE = readFileSync(join(import.meta.dir, "../../docs/http.md"), "utf8");

/** A command of the page and the answer that stands under it. */
interface Exchange {
  readonly command: string;
  readonly answer: string;
}

const exchanges: Exchange[] = [...PAGE.matchAll(/^```console\n([^]*?)^```$/gm)].flatMap(
  ([, text]) => text!.split(/^\$ /m).slice(1).map(exchangeOf),
);

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({
    allowedHosts: ["kv.example.com"],
    allowedOrigins: ["https://app.example.com"],
  });
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

describe("the page is as the server answers:", () => {
  test.each(exchanges.map((exchange, at) => [at + 1, exchange.command, exchange] as const))(
    "%d. %s",
    async (_, command, exchange) => {
      const answer = await answerTo(command, exchange.answer);
      expect(shown(answer!, exchange.answer)).toBe(exchange.answer);
    },
  );
});

test("the page has enough to replay", () => {
  expect(exchanges.length).toBeGreaterThan(90);
});

test("the page names every error code with its status", () => {
  for (const code of ERROR_CODES) {
    expect(PAGE).toMatch(new RegExp(`^\\| \`${code}\` +\\| ${STATUSES[code]} +\\|`, "m"));
  }
});

test("the page names every route, parameter and header", () => {
  for (const route of ROUTES) {
    expect(PAGE).toContain(`\`${route.method} ${route.path}`);
    for (const name of Object.keys(route.parameters)) expect(PAGE).toContain(`\`${name}`);
    for (const answer of Object.values(route.answers)) {
      for (const name of Object.keys(answer.headers ?? {})) expect(PAGE).toContain(name);
    }
  }
});

test("the page names the limits that are", () => {
  const numbers = [
    LIMITS.keyBytesMax,
    LIMITS.valueBytesMax,
    LIMITS.contentTypeCharsMax,
    LIMITS.txnChecksMax,
    LIMITS.commitBytesMax,
    LIMITS.pageEntriesMax,
    LIMITS.pageBytesMax,
    LIMITS.commitEventsMax,
    JSON_BODY_BYTES_MAX,
    JSON_VALUES_MAX,
    ENTRY_STREAMS_MAX,
    KEY_WAITS_MAX,
    TTL_MS_MAX / 86_400_000,
    WATCH_STREAMS_MAX,
    QUEUE_BYTES_MAX,
    QUEUE_TXNS_MAX,
    BODIES_BYTES_MAX,
  ];
  for (const number of numbers) expect(PAGE).toContain(number.toLocaleString("en"));
  // Short numbers stand in many places.
  expect(PAGE).toContain(`| ${CONNECTION_IDLE_SECONDS} seconds; then the connection is closed `);
  expect(PAGE).toContain(`| ${STREAM_IDLE_SECONDS} seconds; then the connection is closed `);
  expect(PAGE).toContain(`up to ${WATCH_RANGES_MAX.toLocaleString("en")} of both`);
  expect(PAGE).toContain(`| ${SNAPSHOT_STREAMS_MAX}; then 429 `);
  expect(PAGE).toContain(`${SNAPSHOT_STREAMS_MAX} copies are made at a time`);
  expect(PAGE).toContain(`${WATCHERS_LISTED_MAX.toLocaleString("en")} of\nthem at most`);
  const [most, usual] = [WAIT_MS_MAX / 60_000, WAIT_MS_DEFAULT / 1_000];
  expect(PAGE).toContain(`| ${most} minutes; ${usual} seconds when nothing is said `);
});

// --- internal ---

function exchangeOf(text: string): Exchange {
  const [command = "", ...answer] = text.trimEnd().split("\n");
  return { command, answer: answer.join("\n") };
}

/** The answer to a command; of a stream without end, which `-N` asks for, what the page shows. */
async function answerTo(command: string, page: string): Promise<RawAnswer | undefined> {
  const request = curlRequest(command);
  if (!/^curl .*-N /.test(command)) return server.raw(request);
  const lines = page.split("\n\n").slice(1).join("\n\n").split("\n").length;
  const cut = (body: string): string => body.split("\n").slice(0, lines).join("\n");
  const whole = (body: string): boolean => body.split("\n").length > lines;
  const answer = await sendUntil(server.port, request, whole);
  return answer && { ...answer, body: cut(answer.body) };
}

/** Headers that stand on the page only where they matter. */
const LEFT_OUT = new Set(["date", "content-length", "connection", "transfer-encoding"]);

/**
 * The answer as the page has it: its headers in the page's order, then those that the page lacks; texts
 * that differ each time as `…` where the page has them so. JSON must end in a newline.
 */
function shown(answer: RawAnswer, page: string): string {
  const listed = page.split("\n\n")[0]!.split("\n").slice(1).map(nameOf);
  const sent = [...answer.headers.keys()].filter((name) => !LEFT_OUT.has(name));
  const lines = [...new Set([...listed, ...sent])]
    .map((name) => [name, answer.headers.get(name)])
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${spelled(page, name!)}: ${value}`);
  const isJson = answer.headers.get("content-type") === "application/json";
  if (isJson && answer.body !== "") expect(answer.body.endsWith("}\n")).toBe(true);
  const head = [answer.statusLine, ...lines].join("\n");
  const body = answer.body.replace(/\n$/, "");
  return elided(body === "" ? head : `${head}\n\n${body}`, page);
}

function nameOf(line: string): string {
  return line.slice(0, line.indexOf(":")).toLowerCase();
}

function spelled(page: string, name: string): string {
  return new RegExp(`^${name}(?=:)`, "im").exec(page)?.[0] ?? name;
}

/** `text` with `…` in place of whatever stands where `page` has it, as long as the rest is the same. */
function elided(text: string, page: string): string {
  const literal = page.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${literal.join("[^]*?")}$`).test(text) ? page : text;
}
