/**
 * Query parameters: each is described once, for the strict reading here and for the API
 * description. Unknown, repeated and malformed ones are refused with the nearest known name.
 */

import { KvError } from "../errors.ts";
import { checkBound } from "../keys.ts";
import { LIMITS } from "../limits.ts";
import { percentDecode } from "../protocol.ts";
import type { Schema } from "../schema.ts";
import { didYouMean, quote } from "../text.ts";
import { DURATION, durationFromText, durationToText } from "../ttl.ts";
import { incrementFromText } from "../txn-json.ts";

export interface Parameter<T> {
  readonly description: string;
  readonly schema: Schema;
  /** Its value; `text` is undefined for a bare name without `=`. Throws `invalid_argument`. */
  readonly parse: (text: string | undefined, name: string) => T;
  /** It may be given again: its value is a list, and `parse` reads what one more adds to it. */
  readonly isRepeatable?: boolean;
}

export type QueryParameters = Readonly<Record<string, Parameter<unknown>>>;

/** What `readParameters` gives for a description: every parameter may be missing. */
export type ParameterValues<P extends QueryParameters> = {
  readonly [N in keyof P]?: P[N] extends Parameter<infer T> ? T : never;
};

/** A boolean: `true`, `false`, or the bare name for true. */
export function flag(description: string): Parameter<boolean> {
  return {
    description: `${description} The bare name is true.`,
    schema: { type: "boolean" },
    parse(text, name) {
      if (text === undefined || text === "true") return true;
      if (text === "false") return false;
      return refuse(name, `must be true or false, not ${quote(text)}`);
    },
  };
}

/** A decimal integer without sign and leading zeros, within `minimum` and `maximum`. */
export function integer(
  description: string,
  minimum: number,
  maximum: number = Number.MAX_SAFE_INTEGER,
): Parameter<number> {
  return {
    description,
    schema: { type: "integer", minimum, maximum },
    parse(text, name) {
      if (text === undefined || !/^(0|[1-9][0-9]*)$/.test(text)) {
        return refuse(
          name,
          `must be a decimal integer${text === undefined ? "" : `, not ${quote(text)}`}`,
        );
      }
      const value = Number(text);
      if (value < minimum) return refuse(name, `is ${text}; the smallest allowed is ${minimum}`);
      if (value > maximum)
        return refuse(name, `is ${quote(text)}; the largest allowed is ${maximum}`, maximum);
      return value;
    },
  };
}

/** The prefix or a bound of a range of keys, or another beginning of keys. */
export function bound(description: string, minLength = 0): Parameter<string> {
  return {
    description,
    schema: { type: "string", minLength, maxLength: LIMITS.keyBytesMax },
    parse(text, name) {
      if (text === undefined || text.length < minLength) {
        return refuse(name, `needs a value: ${name}=…`);
      }
      checkBound(text, name);
      return text;
    },
  };
}

/** One that may be given several times. */
export function several<T>(one: Parameter<T>): Parameter<readonly T[]> {
  return {
    description: `${one.description} May be given several times.`,
    schema: { type: "array", items: one.schema, minItems: 1 },
    parse: (text, name) => [one.parse(text, name)],
    isRepeatable: true,
  };
}

/** An integer of 64 bits, with a sign where it is negative. */
export function int64(description: string): Parameter<bigint> {
  return {
    description,
    schema: { type: "string", pattern: "^(0|-?[1-9][0-9]*)$" },
    parse: (text, name) => incrementFromText(text ?? "", `the parameter ${name}`),
  };
}

/** A time such as `30s`, in milliseconds, of `maximumMs` at most. */
export function duration(description: string, maximumMs: number): Parameter<number> {
  return {
    description,
    schema: { type: "string", pattern: DURATION.source },
    parse(text, name) {
      const milliseconds = durationFromText(text ?? "");
      if (milliseconds === undefined) {
        return refuse(name, `must be a time such as 500ms, 30s or 2m, not ${quote(text ?? "")}`);
      }
      if (milliseconds <= maximumMs) return milliseconds;
      return refuse(name, `is ${text}; the largest allowed is ${durationToText(maximumMs)}`);
    },
  };
}

/** Text that only the handler understands. */
export function opaque(description: string): Parameter<string> {
  return {
    description,
    schema: { type: "string", minLength: 1 },
    parse(text, name) {
      if (text === undefined || text === "") return refuse(name, `needs a value: ${name}=…`);
      return text;
    },
  };
}

/**
 * Reads a query (what follows the `?`) by its description; `method` and `path` name the operation.
 * @throws `invalid_argument` for a name that is not described or stands twice, and for what `parse`
 * refuses.
 */
export function readParameters<P extends QueryParameters>(
  parameters: P,
  query: string,
  method: string,
  path: string,
): ParameterValues<P> {
  if (query === "") return NONE as ParameterValues<P>;
  const values: Record<string, unknown> = {};
  for (const part of query.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = decode(equals < 0 ? part : part.slice(0, equals), "the name of a parameter");
    if (!Object.hasOwn(parameters, name)) {
      const hint = didYouMean(name, Object.keys(parameters));
      throw new KvError(
        "invalid_argument",
        `${method} ${path} has no parameter ${quote(name)}${hint}`,
      );
    }
    const parameter = parameters[name]!;
    if (Object.hasOwn(values, name) && parameter.isRepeatable !== true) {
      refuse(name, "is given twice");
    }
    const text = equals < 0 ? undefined : decode(part.slice(equals + 1), `the parameter ${name}`);
    const value = parameter.parse(text, name);
    if (Array.isArray(values[name])) values[name].push(...(value as unknown[]));
    else values[name] = value;
  }
  return values as ParameterValues<P>;
}

// --- internal ---

/** Most requests have no query. */
const NONE = Object.freeze({});

/** As forms and `URLSearchParams` write it: `+` is a space. */
function decode(text: string, what: string): string {
  return percentDecode(text.replaceAll("+", " "), what);
}

function refuse(name: string, what: string, limit?: number): never {
  throw new KvError(
    "invalid_argument",
    `the parameter ${name} ${what}`,
    limit === undefined ? {} : { limit },
  );
}
