/** Requests of a history over HTTP, each with the method made for it where there is one. */

import { HEADERS, PATHS, keyPath, queryValue } from "../../src/protocol.ts";
import type { Range } from "../../src/keys.ts";
import type { Answer, Result, Step } from "./history.ts";
import {
  done,
  errorAnswer,
  singleAnswer,
  timeOf,
  ttlText,
  txnAnswer,
  txnToJson,
  type RevisionCheck,
  type Sent,
} from "./wire.ts";

export interface HttpRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly body: string;
}

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** `meta`: a read of one key asks for all that there is to know about the entry. */
export function toHttp({ asked, single }: Sent, meta: boolean): HttpRequest {
  if (single === undefined) {
    return request("POST", PATHS.txn, {}, [], JSON.stringify(txnToJson(asked)));
  }
  const { step } = single;
  const conditions = single.check === undefined ? [] : [conditionHeader(single.check)];
  const revision = asked.at === undefined ? undefined : { revision: asked.at };
  switch (step.op) {
    case "get":
      return request("GET", keyPath(step.key), { ...revision, ...(meta && { meta }) });
    case "put": {
      const headers = [...conditions, ...ttlHeader(step), "Content-Type: text/plain"];
      return request("PUT", keyPath(step.key), {}, headers, step.value);
    }
    case "delete":
      return request("DELETE", keyPath(step.key), {}, conditions);
    case "touch":
      return request("POST", keyPath(step.key, PATHS.touch), {}, [
        ...conditions,
        ...ttlHeader(step),
      ]);
    case "incr": {
      const headers = [...conditions, ...ttlHeader(step)];
      return request("POST", keyPath(step.key, PATHS.incr), { by: step.by }, headers);
    }
    case "deleteRange":
      return request("DELETE", PATHS.kv, { ...bounds(step.range), limit: step.limit });
    case "list": {
      const { range, limit, reverse } = step;
      return request("GET", PATHS.kv, { ...bounds(range), limit, reverse, ...revision });
    }
    case "count":
      return request("GET", PATHS.kv, { ...bounds(step.range), count: true, ...revision });
  }
}

export function fromHttp(sent: Sent, meta: boolean, answer: HttpAnswer): Answer {
  const { status, headers, body } = answer;
  if (status >= 400) return errorAnswer(sent, JSON.parse(body).error);
  if (sent.single === undefined) return txnAnswer(JSON.parse(body));
  const { step } = sent.single;
  if (step.op !== "get") return singleAnswer(step, JSON.parse(body));
  const number = (name: string): number => Number(headers.get(name.toLowerCase()));
  const entry = { value: body, revision: Number(headers.get("etag")!.slice(1, -1)) };
  if (!meta) return done(undefined, { entry });
  const result: Result = {
    entry: {
      ...entry,
      createRevision: number(HEADERS.createRevision),
      version: number(HEADERS.version),
      expiresAt: timeOf(headers.get(HEADERS.expiresAt.toLowerCase())),
    },
  };
  return done(number(HEADERS.storeRevision), result);
}

// --- internal ---

type Parameters = Readonly<Record<string, string | number | boolean | undefined>>;

function request(
  method: string,
  path: string,
  parameters: Parameters,
  headers: readonly string[] = [],
  body = "",
): HttpRequest {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  const query = given.map(([name, value]) => `${name}=${queryValue(String(value))}`).join("&");
  return { method, target: query === "" ? path : `${path}?${query}`, headers, body };
}

function bounds({ prefix, start, end }: Range): Parameters {
  return { prefix, start, end };
}

function ttlHeader(step: Extract<Step, { op: "put" | "touch" | "incr" }>): string[] {
  return step.ttl === undefined ? [] : [`${HEADERS.ttl}: ${ttlText(step.ttl)}`];
}

function conditionHeader({ revision, not = false }: RevisionCheck): string {
  if (revision === 0) return not ? "If-Match: *" : "If-None-Match: *";
  const tags = [revision].flat().map((one) => `"${one}"`);
  return `${not ? "If-None-Match" : "If-Match"}: ${tags.join(", ")}`;
}
