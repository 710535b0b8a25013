/**
 * `-o`, with the same words in every command: `raw` is the data as it is stored, `json` is for
 * programs, `table` for people.
 */

import type { ArgsDef } from "citty";

/** `-o` for a command with several forms of output. */
export function outputFlag<const O extends readonly string[]>(options: O, description: string) {
  return {
    output: {
      type: "enum",
      alias: "o",
      options: [...options] as O[number][],
      valueHint: options.join("|"),
      description,
    },
  } as const satisfies ArgsDef;
}

/** `-o json`, for the commands whose only other output is a remark. */
export function jsonFlag(description = "print the answer as JSON") {
  return outputFlag(["json"], description);
}
