/** The watchers of a server as rows of a table: what each watches, and how far behind it is. */

import type { Range } from "../keys.ts";
import type { WatcherDescription } from "../watch/watcher-description.ts";
import { showBytes } from "../text.ts";
import { showCount } from "./preview.ts";
import { describeRange } from "./ranges.ts";
import { Table } from "./table.ts";

/** The lines of the table; `count` is how many watchers there are, as a server lists only some. */
export function watcherTable(watchers: readonly WatcherDescription[], count: number): string {
  const table = new Table(
    ["TRANSPORT", "STATE", "POSITION", "LAG", "UNSENT", "OPTIONS", "WATCHES"],
    ["POSITION", "LAG", "UNSENT"],
  );
  const lines = table.format(watchers.map(cells));
  const others = count - watchers.length;
  return others > 0 ? `${lines}and ${showCount(others, "other")}\n` : lines;
}

// --- internal ---

/** Keys and prefixes of one watcher that are shown; it may have a thousand. */
const RANGES_SHOWN = 3;

function cells(watcher: WatcherDescription): string[] {
  const { transport, state, position, lag, unsentBytes, filter } = watcher;
  const options = (["prev", "keys", "latest"] as const).filter((name) => filter[name] === true);
  return [
    transport,
    state,
    String(position),
    String(lag),
    showBytes(unsentBytes),
    options.join(","),
    describeFilter(filter),
  ];
}

function describeFilter({ key, prefix, start, end }: WatcherDescription["filter"]): string {
  const keys = [key ?? []].flat().map((text): Range => ({ key: text }));
  const prefixes = [prefix ?? []].flat().map((text): Range => ({ prefix: text }));
  const ranges = [...keys, ...prefixes];
  if (ranges.length === 0) {
    return describeRange({
      ...(start === undefined ? undefined : { start }),
      ...(end === undefined ? undefined : { end }),
    });
  }
  const shown = ranges.slice(0, RANGES_SHOWN).map(describeRange).join("; ");
  const others = ranges.length - RANGES_SHOWN;
  return others > 0 ? `${shown}; and ${showCount(others, "other")}` : shown;
}
