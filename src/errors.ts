/**
 * The one error class and its stable codes. A code is part of the API: clients and scripts act on
 * it, so none is ever renamed. Only `http/` knows which status a code becomes, only `cli/` which
 * exit code.
 */

/** Every code an answer can carry. */
export const ERROR_CODES = [
  "invalid_argument",
  "unauthenticated",
  "permission_denied",
  "not_found",
  "unknown_path",
  "method_not_allowed",
  "conflict",
  "compacted",
  "precondition_failed",
  "too_large",
  "unsupported",
  "too_many_requests",
  "unavailable",
  "outcome_unknown",
  "internal",
  "storage_full",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/**
 * What an error says beyond its message; each field stands in the JSON of the answer when it is
 * set.
 */
export interface ErrorDetails {
  /** The bound that was passed, in the unit that the message names. */
  readonly limit?: number;
  /** `compacted`: the smallest value that the same parameter would have accepted. */
  readonly oldest?: number;
  /** `precondition_failed`: the key's revision now, 0 when it is absent. `invalid_argument` for a
   * revision that does not exist yet: the store's revision. */
  readonly revision?: number;
  /** The store's revision when a failed condition or an absent key was seen. */
  readonly storeRevision?: number;
  /** The operation of a transaction that failed, counted from 0. */
  readonly index?: number;
}

/**
 * An expected failure. `unavailable` and `storage_full` mean that nothing was applied;
 * `outcome_unknown` means that the write may have been applied.
 */
export class KvError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "KvError";
    this.code = code;
    this.details = details;
  }
}

export function isErrorCode(text: unknown): text is ErrorCode {
  return (ERROR_CODES as readonly unknown[]).includes(text);
}

/** Stops on a broken invariant: a bug in kv, never a fault of the input. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${invariant}`);
}
