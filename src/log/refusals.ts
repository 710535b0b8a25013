/** Why the commit loop takes nothing more, or could not write. */

import { KvError } from "../errors.ts";

export function tooManyFiles(what: string, cause: Error): KvError {
  const message = `too many open files, ${what}: raise the limit (ulimit -n)`;
  return new KvError("unavailable", message, {}, cause);
}

export function stopped(cause: KvError): KvError {
  return new KvError("unavailable", `the store has stopped: ${cause.message}`, {}, cause);
}
