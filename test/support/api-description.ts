/** The API description as a client gets it, taken apart for tests that hold it against the server. */

import Ajv2020 from "ajv/dist/2020.js";
import { describe as describeApi } from "../../src/http/openapi.ts";
import { ROUTES } from "../../src/http/routes.ts";

export interface Described {
  description: string;
  headers?: Record<string, unknown>;
  content?: Record<string, { schema?: { $ref: string } }>;
}

export interface Operation {
  operationId: string;
  parameters: { name: string; in: string; schema: Record<string, unknown> }[];
  requestBody?: { content: Record<string, { schema?: { $ref: string } }> };
  responses: Record<string, Described>;
}

export interface Description {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

export const description = JSON.parse(JSON.stringify(describeApi(ROUTES, "1.2.3"))) as Description;

export const METHODS = ["get", "head", "put", "post", "delete"];

/** Every operation with its path and its method. */
export const OPERATIONS = Object.entries(description.paths).flatMap(([path, item]) =>
  METHODS.filter((method) => method in item).map((method) => ({
    path,
    method: method.toUpperCase(),
    operation: item[method]!,
  })),
);

const ajv = new Ajv2020({
  strict: true,
  strictTypes: false,
  discriminator: true,
  formats: { "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/ },
});
ajv.addSchema({
  $id: "api",
  $defs: JSON.parse(localRefs(JSON.stringify(description.components.schemas))) as object,
});

/** What is wrong with a value by the schema that a reference of the description names. */
export function schemaFaults(reference: string, value: unknown): unknown[] {
  const validate = ajv.getSchema(`api${localRefs(reference)}`)!;
  validate(value);
  return validate.errors ?? [];
}

// --- internal ---

/** References as JSON Schema has them within one schema. */
function localRefs(text: string): string {
  return text.replaceAll("#/components/schemas/", "#/$defs/");
}
