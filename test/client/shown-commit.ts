/** A commit as a text that compares well, however large its values are. */

import { eventToJson } from "../../src/json.ts";
import type { Commit } from "../../src/kv.ts";

export function shownCommit({ revision, events }: Commit): string {
  return `${revision} ${Bun.hash(JSON.stringify(events.map(eventToJson)))}`;
}
