/** Replays the transcripts of `docs/websocket.md` against a fresh server. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as limits from "../../src/limits.ts";
import { socketRequestSchema } from "../../src/messages.ts";
import { durationToText } from "../../src/ttl.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";
import { startSocketServer, type SocketServer } from "../support/socket-server.ts";
import { temporaryLog } from "../support/temporary-log.ts";

const PAGE = readFileSync(join(import.meta.dir, "../../docs/websocket.md"), "utf8");

/** The transcripts of the page: those without a name are one conversation, each other one its own. */
const blocks = [...PAGE.matchAll(/^```ws *(.*)\n([^]*?)^```$/gm)].map(([, name, text]) => ({
  name: name!,
  lines: text!.trimEnd().split("\n"),
}));

test("the conversation of the page goes as it is written", async () => {
  await using log = await temporaryLog();
  await using server = startSocketServer(log.store);
  const lines = blocks.filter(({ name }) => name === "").flatMap(({ lines }) => lines);
  expect(lines.length).toBeGreaterThan(40);
  await replay(server, lines);
});

test("a key expires as the page says", async () => {
  await using log = await temporaryLog();
  await using server = startSocketServer(log.store);
  await replay(server, named("expiry"));
});

test("the binary frames of the page are what they say", async () => {
  await using log = await temporaryLog();
  await using server = startSocketServer(log.store);
  const client = await openSocket(server.url);
  const exchanges = [...PAGE.matchAll(/^```frames\n([^]*?)^```$/gm)].map(([, text]) => text!);
  expect(exchanges.length).toBeGreaterThan(2);
  for (const [index, text] of exchanges.entries()) {
    client.send(Buffer.from(digits(text, ">"), "hex"));
    await client.untilFrames(index + 1);
    expect(Buffer.from(client.frameBytes[index]!).toString("hex")).toBe(digits(text, "<"));
  }
});

test("the binary client of the page puts, reads and deletes", async () => {
  await using log = await temporaryLog();
  await using server = startSocketServer(log.store);
  const client = await openSocket(server.url);
  const [, code] = /^```js\n(function encode[^]*?)^const socket/m.exec(PAGE)!;
  const { encode, decode } = new Function(`${code}; return { encode, decode };`)() as {
    encode(id: number, operations: unknown[]): Uint8Array;
    decode(buffer: ArrayBufferLike): { id: number; answers: unknown[] };
  };
  const ask = async (...operations: unknown[]) => {
    const id = client.frames.length + 1;
    client.send(encode(id, operations));
    await client.untilFrames(id);
    return decode(client.frameBytes.at(-1)!.buffer);
  };
  const value = new Uint8Array([1, 2]);
  const none = new Uint8Array();
  const written = await ask({ op: "put", key: "a", value }, { op: "put", key: "ä", value: "é" });
  expect(written).toEqual({
    id: 1,
    answers: [
      { status: "put", revision: 1, value: none },
      { status: "put", revision: 2, value: none },
    ],
  });
  await client.request({ op: "put", key: "typed", value: "x", contentType: "text/css" });
  const found = await ask(
    { op: "get", key: "ä" },
    { op: "get", key: "typed" },
    { op: "get", key: "none" },
    { op: "delete", key: "a" },
    { op: "get", key: "" },
  );
  expect(found.answers).toMatchObject([
    { status: "found", revision: 2, value: new TextEncoder().encode("é") },
    { status: "found", revision: 3, value: new TextEncoder().encode("x") },
    { status: "absent", revision: 3 },
    { status: "deleted", revision: 4 },
    { status: "failed" },
  ]);
  client.send(new Uint8Array(3));
  await client.untilFrames(3);
  expect(() => decode(client.frameBytes[2]!.buffer)).toThrow("invalid_argument");
});

test("the page shows every operation and names every field", () => {
  const shown = new Set([...PAGE.matchAll(/^> .*?"op":"(\w+)"/gm)].map(([, op]) => op));
  for (const branch of socketRequestSchema.oneOf) {
    const { op, ...fields } = branch.properties as Record<string, { enum?: string[] }>;
    expect(shown).toContain(op!.enum![0]);
    for (const field of Object.keys(fields)) {
      expect(PAGE.includes(`\`${field}\``) || PAGE.includes(`"${field}"`) || field).toBe(true);
    }
  }
});

test("progress comes as the page says", async () => {
  await using log = await temporaryLog();
  await using server = startSocketServer(log.store, { progressMs: 20 });
  await replay(server, named("progress"));
});

test("a stop goes as the page says", async () => {
  await using log = await temporaryLog();
  await using server = startSocketServer(log.store);
  await replay(server, named("stop"));
});

test("the page names the limits that are", () => {
  const named = [
    `at most ${limits.SOCKET_MESSAGE_BYTES_MAX.toLocaleString("en")} bytes`,
    `${limits.SOCKET_WATCHES_MAX.toLocaleString("en")} watches`,
    `with ${limits.SOCKET_RANGES_MAX.toLocaleString("en")} keys and prefixes at most`,
    `together ${limits.WATCH_RANGES_MAX.toLocaleString("en")} of both`,
    `pass ${limits.FRAME_BYTES_MAX / 1024} KiB`,
    `every ${limits.PROGRESS_MS / 1000} seconds`,
    `more than ${limits.WATCHER_UNSENT_BYTES_MAX / 2 ** 20} MiB unsent`,
    `more than ${limits.SOCKET_ANSWER_BYTES_MAX / 2 ** 20} MiB is unsent`,
    `${limits.SOCKET_REQUESTS_MAX.toLocaleString("en")} requests`,
    `${limits.SOCKET_REQUEST_BYTES_MAX / 2 ** 20} MiB of them`,
    `${limits.JSON_VALUES_MAX.toLocaleString("en")} JSON values`,
    `share ${limits.SOCKETS_REQUEST_BYTES_MAX / 2 ** 20} MiB for requests`,
    `more than ${limits.SOCKET_SMALL_REQUEST_BYTES / 2 ** 10} KiB of them`,
    `every ${limits.SOCKET_PING_SECONDS} seconds`,
    `for ${limits.SOCKET_IDLE_SECONDS} seconds`,
    `${limits.FRAME_OPERATIONS_MAX.toLocaleString("en")} at most`,
    `have passed ${limits.FRAME_ANSWER_BYTES / 2 ** 20} MiB`,
    `1 to ${limits.SOCKET_ID_CHARS_MAX} characters`,
    `\`limit\` is ${limits.PAGE_ENTRIES_DEFAULT.toLocaleString("en")} unless given`,
    `${limits.LIMITS.pageEntriesMax.toLocaleString("en")} at most`,
    `past ${limits.LIMITS.pageBytesMax / 2 ** 20} MiB of values`,
    `more than ${limits.LIMITS.commitEventsMax.toLocaleString("en")} keys`,
    `from \`1ms\` to \`${durationToText(limits.TTL_MS_MAX)}\``,
  ];
  for (const text of named) expect(PAGE.includes(text) || text).toBe(true);
});

/** The hexadecimal digits of the lines of one side, without what explains them. */
function digits(text: string, side: string): string {
  const lines = text.split("\n").filter((line) => line.startsWith(`${side} `));
  return lines.map((line) => line.slice(2).split("  ")[0]!.replaceAll(" ", "")).join("");
}

function named(wanted: string): string[] {
  return blocks.find(({ name }) => name === wanted)!.lines;
}

/** Sends what the lines send, one at a time, and expects what stands behind each of them. */
async function replay(server: SocketServer, lines: readonly string[]): Promise<void> {
  const client = await openSocket(server.url);
  const conversation = { client, read: 0, cursor: "" };
  for (let at = 0; at < lines.length;) {
    const line = lines[at++]!;
    const expected: string[] = [];
    while (lines[at]?.startsWith("< ")) expected.push(lines[at++]!.slice(2));
    if (line.startsWith("> ")) {
      client.send(line.slice(2).replace('"cursor":"…"', `"cursor":"${conversation.cursor}"`));
    } else if (line === "# the server stops") void server.stop();
    else expect(line).toBe("# 100 ms later");
    await expectMessages(conversation, line, expected);
  }
}

interface Conversation {
  readonly client: SocketClient;
  /** Messages that were compared already. */
  read: number;
  /** The last cursor that was answered. */
  cursor: string;
}

async function expectMessages(
  conversation: Conversation,
  line: string,
  expected: readonly string[],
): Promise<void> {
  const { client, read } = conversation;
  const messages = expected.filter((text) => !text.startsWith("close "));
  await client.until(() => client.messages.length >= read + messages.length);
  const texts = client.texts.slice(read, read + messages.length);
  conversation.read += messages.length;
  for (const text of texts)
    conversation.cursor = /"cursor":"(.*?)"/.exec(text)?.[1] ?? conversation.cursor;
  const wanted = sorted(messages);
  const got = sorted(texts).map((text, index) => masked(text, wanted[index]!));
  expect({ line, got }).toEqual({ line, got: wanted });
  for (const text of expected) {
    if (!text.startsWith("close ")) continue;
    const { code, reason } = await client.closed;
    expect(`close ${code} ${reason}`).toBe(text);
  }
}

/** Answers and frames may come in any order; those of one kind keep theirs. */
function sorted(all: readonly string[]): string[] {
  return [true, false].flatMap((answers) =>
    all.filter((text) => text.startsWith('{"id"') === answers),
  );
}

/** `text` with `…` for each field that has it in `pattern`. */
function masked(text: string, pattern: string): string {
  let result = text;
  for (const [, name] of pattern.matchAll(/"(\w+)":"…"/g)) {
    result = result.replace(new RegExp(`"${name}":"(?:[^"\\\\]|\\\\.)*"`, "g"), `"${name}":"…"`);
  }
  return result;
}
