/**
 * A bug that the tests of the log have to catch: a text of the source, and what stands there
 * instead. The text is looked for as it is, so whoever changes such a place changes it here too.
 */

export interface Bug {
  /** In words: what the log does then. */
  readonly name: string;
  /** The source, from the top of the project. */
  readonly file: string;
  /** What stands there, exactly once. */
  readonly find: string;
  readonly replace: string;
  /** Tests that fail with the bug: those that do so soon. */
  readonly caughtBy: Catcher;
}

/** Tests, and with what they run. */
export interface Catcher {
  /** In `test/log`, without `.test.ts`. */
  readonly file: string;
  /** A pattern for the names of the tests; all of the file when it is left out. */
  readonly name?: string;
  /** `KV_TEST_ROUNDS` and `KV_TEST_SEED`: 1 when they are left out. */
  readonly rounds?: number;
  readonly seed?: number;
}
