/** How tests of the client look at an error. */

import { expect } from "bun:test";
import { KvError, type ErrorCode } from "../../src/errors.ts";

/** The error that `action` rejects with: of this code, its message one line with `part` in it. */
export async function expectFailure(
  action: Promise<unknown>,
  code: ErrorCode,
  part = "",
): Promise<KvError> {
  const outcome = await action.then(
    (value) => `success: ${JSON.stringify(value)}`,
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(KvError);
  const error = outcome as KvError;
  expect({ code: error.code, message: error.message }).toEqual({
    code,
    message: expect.stringContaining(part) as unknown as string,
  });
  expect(error.message).not.toContain("\n");
  return error;
}
