/** Tests that need what not every machine has: left out aloud, and never where CI is set. */

import { test } from "bun:test";

/**
 * `test`, where `tools` (names of commands with spaces between, and `root` for its rights) are
 * there. Elsewhere the runner reports it as left out, or as failed in CI.
 */
export function testWithTool(
  tools: string,
  name: string,
  body: () => Promise<void>,
  timeoutMs?: number,
): void {
  const missing = tools.split(" ").filter((tool) => !isThere(tool));
  if (missing.length === 0) test(name, body, timeoutMs);
  else if (process.env["CI"] === undefined) test.skip(`${name} (needs ${missing.join(" ")})`, body);
  else {
    test(name, () => {
      throw new Error(`${missing.join(" ")} is missing; install its package`);
    });
  }
}

/** Can this command be run here? Of `root`: are we it? */
export function isThere(tool: string): boolean {
  return tool === "root" ? process.getuid?.() === 0 : Bun.which(tool) !== null;
}
