/** A commit as a text that compares well, however large its values are. */

import type { ListedEvent } from "../../src/kv.ts";
import { eventToJson } from "../../src/json.ts";

interface Shown {
  readonly revision: number;
  readonly events: readonly ListedEvent[];
}

export function shownCommit({ revision, events }: Shown): string {
  return `${revision} ${Bun.hash(JSON.stringify(events.map(eventToJson)))}`;
}
