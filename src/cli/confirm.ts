/** Asks a person before what cannot be undone. */

import { UsageError } from "./failure.ts";
import { readLine } from "./input.ts";
import { isTerminal, remark, writeErrorText } from "./output.ts";

/** Is there somebody to ask? In a script nobody is, and it goes on without a question. */
export function canAsk(): boolean {
  return isTerminal(0);
}

/**
 * Does the person at the terminal say yes?
 * @throws `UsageError` when stderr is no terminal, where the question would not be seen.
 */
export async function confirm(question: string): Promise<boolean> {
  if (!isTerminal(2)) throw new UsageError("stderr is no terminal to ask on; say --yes");
  writeErrorText(`${question} [y/N] `);
  const answer = await readLine();
  // Ctrl-D leaves the cursor behind the question.
  if (answer === undefined) remark("");
  return /^\s*y(es)?\s*$/i.test(answer ?? "");
}
