/** How commands that change one key learn that it is absent. */

import { KvError } from "../errors.ts";

/**
 * Does the error say that the key is absent? Whoever names a revision is told so as a condition
 * that failed; it is exit code 3 all the same, as over HTTP it is 404.
 */
export function isAbsence(error: unknown): error is KvError {
  if (!(error instanceof KvError)) return false;
  if (error.code === "not_found") return true;
  return error.code === "precondition_failed" && error.details.revision === 0;
}
