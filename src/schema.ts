/**
 * Descriptions of JSON values: the part of JSON Schema 2020-12 that kv uses, and the one strict
 * validator. The same objects check requests and stand in the API description, so the two agree.
 */

import { KvError } from "./errors.ts";
import { didYouMean, isWellFormed, quote } from "./text.ts";

interface Described {
  readonly description?: string;
  readonly examples?: readonly unknown[];
}

export interface StringSchema extends Described {
  readonly type: "string";
  readonly enum?: readonly string[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly contentEncoding?: "base64";
  readonly format?: "date-time";
}

export interface IntegerSchema extends Described {
  readonly type: "integer";
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface BooleanSchema extends Described {
  readonly type: "boolean";
}

export interface ArraySchema extends Described {
  readonly type: "array";
  readonly items: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
}

export interface ObjectSchema extends Described {
  readonly type: "object";
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties: false;
}

/** One of several objects, told apart by the text of one property. */
export interface UnionSchema extends Described {
  readonly oneOf: readonly ObjectSchema[];
  readonly discriminator: { readonly propertyName: string };
}

/** One of several plain types, told apart by their type. */
export interface AnySchema extends Described {
  readonly anyOf: readonly Schema[];
}

export type Schema =
  | StringSchema
  | IntegerSchema
  | BooleanSchema
  | ArraySchema
  | ObjectSchema
  | UnionSchema
  | AnySchema;

/**
 * Throws `invalid_argument` (`too_large` past a length) unless `value` (as `JSON.parse` gives it)
 * is what `schema` describes. Strict: unknown fields, lone surrogates, and integers beyond 2^53 are
 * errors. `path` names the place in the message.
 */
export function validate(schema: Schema, value: unknown, path = ""): void {
  if ("oneOf" in schema) return validateUnion(schema, value, path);
  if ("anyOf" in schema) return validateAny(schema, value, path);
  switch (schema.type) {
    case "string":
      return validateString(schema, value, path);
    case "integer":
      return validateInteger(schema, value, path);
    case "boolean":
      if (typeof value !== "boolean") fail(path, `must be true or false, not ${kindOf(value)}`);
      return;
    case "array":
      return validateArray(schema, value, path);
    case "object":
      return validateObject(schema, value, path);
  }
}

// --- internal ---

/**
 * Patterns of schemas: there are a few, and each stands for every request that carries the field.
 */
const patterns = new Map<string, RegExp>();

function compiled(pattern: string): RegExp {
  let known = patterns.get(pattern);
  if (known === undefined) patterns.set(pattern, (known = new RegExp(pattern, "u")));
  return known;
}

function validateString(schema: StringSchema, value: unknown, path: string): void {
  if (typeof value !== "string") fail(path, `must be a string, not ${kindOf(value)}`);
  if (!isWellFormed(value)) fail(path, "has a lone surrogate; it must be well-formed Unicode");
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    fail(path, `cannot be ${quote(value)}${didYouMean(value, schema.enum)}`);
  }
  if (schema.minLength !== undefined && value.length < schema.minLength) {
    fail(path, schema.minLength === 1 ? "is empty" : `is shorter than ${schema.minLength}`);
  }
  if (schema.maxLength !== undefined && value.length > schema.maxLength) {
    throw new KvError(
      "too_large",
      `${at(path)}has ${value.length} characters; at most ${schema.maxLength} are allowed`,
      { limit: schema.maxLength },
    );
  }
  if (schema.pattern !== undefined && !compiled(schema.pattern).test(value)) {
    fail(path, `cannot be ${quote(value)}; it must match ${schema.pattern}`);
  }
}

function validateInteger(schema: IntegerSchema, value: unknown, path: string): void {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) {
    fail(path, `must be an integer within 2^53, not ${kindOf(value)}`);
  }
  if (schema.minimum !== undefined && value < schema.minimum) {
    fail(path, `is ${value}; the smallest allowed is ${schema.minimum}`);
  }
  if (schema.maximum !== undefined && value > schema.maximum) {
    fail(path, `is ${value}; the largest allowed is ${schema.maximum}`);
  }
}

function validateArray(schema: ArraySchema, value: unknown, path: string): void {
  if (!Array.isArray(value)) fail(path, `must be a list, not ${kindOf(value)}`);
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    fail(path, `has ${value.length} items; at least ${schema.minItems} are needed`);
  }
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    throw new KvError(
      "too_large",
      `${at(path)}has ${value.length} items; at most ${schema.maxItems} are allowed`,
      { limit: schema.maxItems },
    );
  }
  for (let index = 0; index < value.length; index++) {
    validate(schema.items, value[index], `${path}[${index}]`);
  }
}

function validateObject(schema: ObjectSchema, value: unknown, path: string): void {
  const object = requireObject(value, path);
  for (const name of Object.keys(object)) {
    if (!Object.hasOwn(schema.properties, name)) {
      fail(
        path,
        `has an unknown field ${quote(name)}${didYouMean(name, Object.keys(schema.properties))}`,
      );
    }
    validate(schema.properties[name]!, object[name], path === "" ? name : `${path}.${name}`);
  }
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(object, name)) fail(path, `lacks the field "${name}"`);
  }
}

function validateUnion(schema: UnionSchema, value: unknown, path: string): void {
  const { propertyName } = schema.discriminator;
  const object = requireObject(value, path);
  const tag = Object.hasOwn(object, propertyName) ? object[propertyName] : undefined;
  const tags: string[] = [];
  for (const branch of schema.oneOf) {
    const allowed = (branch.properties[propertyName] as StringSchema).enum!;
    if (typeof tag === "string" && allowed.includes(tag))
      return validateObject(branch, value, path);
    tags.push(...allowed);
  }
  if (tag === undefined)
    fail(path, `lacks the field "${propertyName}" (one of ${tags.join(", ")})`);
  if (typeof tag !== "string") fail(path, `has a field "${propertyName}" that is no string`);
  fail(path, `has an unknown ${propertyName} ${quote(tag)}${didYouMean(tag, tags)}`);
}

function validateAny(schema: AnySchema, value: unknown, path: string): void {
  const fits = schema.anyOf.find((branch) => "type" in branch && branch.type === typeOf(value));
  if (fits !== undefined) return validate(fits, value, path);
  const types = schema.anyOf.map((branch) => ("type" in branch ? branch.type : "object"));
  fail(path, `must be ${types.join(" or ")}, not ${kindOf(value)}`);
}

function requireObject(value: unknown, path: string): Record<string, unknown> {
  if (typeOf(value) !== "object") fail(path, `must be an object, not ${kindOf(value)}`);
  return value as Record<string, unknown>;
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "number" ? "integer" : typeof value;
}

function kindOf(value: unknown): string {
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? `the string ${quote(value)}` : typeOf(value);
}

function at(path: string): string {
  return path === "" ? "the body " : `${path} `;
}

function fail(path: string, what: string): never {
  throw new KvError("invalid_argument", `${at(path)}${what}`);
}
