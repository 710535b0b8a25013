/** Which exit code a failure becomes. Scripts act on them, so none changes its meaning. */

import type { ErrorCode } from "../errors.ts";

export const FAILED = 1;
export const USAGE = 2;
export const NOT_FOUND = 3;
export const CONDITION_FAILED = 4;
export const UNREACHABLE = 6;

export function exitCodeOf(code: ErrorCode): number {
  return BY_ERROR[code];
}

// --- internal ---

const BY_ERROR: Readonly<Record<ErrorCode, number>> = {
  invalid_argument: USAGE,
  unauthenticated: 5,
  permission_denied: 5,
  not_found: NOT_FOUND,
  unknown_path: FAILED,
  method_not_allowed: FAILED,
  conflict: CONDITION_FAILED,
  compacted: 7,
  precondition_failed: CONDITION_FAILED,
  too_large: 8,
  unsupported: FAILED,
  too_many_requests: UNREACHABLE,
  unavailable: UNREACHABLE,
  outcome_unknown: UNREACHABLE,
  internal: FAILED,
  storage_full: 8,
};
