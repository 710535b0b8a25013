/** Tests that need a tool which not every machine has: left out aloud, and never where CI is set. */

import { test } from "bun:test";

/** `test`, where `tool` is there. Elsewhere the runner reports it as left out, or as failed in CI. */
export function testWithTool(
  tool: string,
  name: string,
  body: () => Promise<void>,
  timeoutMs?: number,
): void {
  if (Bun.which(tool) !== null) test(name, body, timeoutMs);
  else if (process.env["CI"] === undefined) test.skip(`${name} (needs ${tool})`, body);
  else {
    test(name, () => {
      throw new Error(`${tool} is missing; install its package`);
    });
  }
}
