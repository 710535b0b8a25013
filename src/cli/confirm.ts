/** Asks a person before what cannot be undone. */

import { UsageError } from "./failure.ts";
import { readLine } from "./input.ts";
import { isTerminal, remark, writeErrorText } from "./output.ts";

/**
 * The answer of the person at the terminal: yes, or anything else. Where nobody sits at one, as in
 * a script, there is nobody to ask, and nothing to wait for: that is a yes.
 * @throws `UsageError` when stdin is a terminal, and stderr none on which a question would be seen.
 */
export async function confirm(question: string): Promise<boolean> {
  if (!isTerminal(0)) return true;
  if (!isTerminal(2)) throw new UsageError("stderr is no terminal to ask on; say --yes");
  writeErrorText(`${question} [y/N] `);
  const answer = await readLine();
  // Ctrl-D leaves the cursor behind the question.
  if (answer === undefined) remark("");
  return /^\s*y(es)?\s*$/i.test(answer ?? "");
}
