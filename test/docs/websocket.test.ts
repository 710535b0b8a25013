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
    `1 to ${limits.SOCKET_ID_CHARS_MAX} characters`,
    `\`limit\` is ${limits.PAGE_ENTRIES_DEFAULT.toLocaleString("en")} unless given`,
    `${limits.LIMITS.pageEntriesMax.toLocaleString("en")} at most`,
    `past ${limits.LIMITS.pageBytesMax / 2 ** 20} MiB of values`,
    `more than ${limits.LIMITS.commitEventsMax.toLocaleString("en")} keys`,
    `from \`1ms\` to \`${durationToText(limits.TTL_MS_MAX)}\``,
  ];
  for (const text of named) expect(PAGE.includes(text) || text).toBe(true);
});

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
