/**
 * Many faults at once to the files of a golden directory, drawn from a seed: whatever they are, the
 * start is refused, or the store shows what it did, or the beginning of that.
 */

import type { Entry } from "../../src/entry.ts";
import { inWords, outcomeOf, same, verdictOf, viewIn } from "./damage.ts";
import { Refusal } from "./format/bytes.ts";
import type { LogContent } from "./format/content.ts";
import { readLog } from "./format/reader.ts";
import { type GoldenDirectory, goldenDirectories } from "./golden-directories.ts";
import { type LogView, viewOfContent } from "./log-view.ts";
import { type Random, random } from "./random.ts";

export const OUTCOMES = ["refused", "the same", "a beginning", "a new store"] as const;

/** Damages the directory that the seed names, as the seed has it, and opens it. Throws for a fault. */
export async function damageAtRandom(seed: number): Promise<(typeof OUTCOMES)[number]> {
  const draw = random(seed);
  const golden = draw.pick(goldenDirectories);
  const files = new Map([...golden.files].map(([name, bytes]) => [name, bytes.slice()]));
  const done: string[] = [];
  for (let count = 2 + draw.below(7); count > 0; count--) done.push(spoil(files, draw));

  const outcome = await outcomeOf(files);
  const verdict = verdictOf(files);
  const fail = (what: string): never => {
    throw new Error(`${golden.name}, ${done.join(", ")}: ${what}; ${inWords(outcome)}`);
  };
  if (outcome.refused !== undefined) {
    if (!(verdict instanceof Refusal)) fail("the reader refuses nothing");
    return "refused";
  }
  if (![...files.keys()].some((name) => name.endsWith(".log"))) return "a new store";
  if (verdict instanceof Refusal) return fail(`the reader refuses ${verdict.message}`);
  const view = viewIn(outcome.shown);
  if (!same(view, verdict)) fail("the reader finds something else");
  if (same(view, rightOf(golden))) return "the same";
  if (!isBeginning(view, contentOf(golden))) fail("it is no beginning of what was there");
  return "a beginning";
}

// --- internal ---

const SECTOR_BYTES = 512;

/** Does one thing to the files, and says what. */
function spoil(files: Map<string, Uint8Array>, draw: Random): string {
  const names = [...files.keys()];
  if (names.length === 0) return "nothing left";
  // Mostly the log itself.
  const logs = names.filter((name) => name.endsWith(".log"));
  const any = (): string => draw.pick(draw.oneIn(3) || logs.length === 0 ? names : logs);
  const [name, other] = [any(), any()];
  const [bytes, source] = [files.get(name)!, files.get(other)!];
  const size = draw.pick([8, 80, SECTOR_BYTES]);
  const place = (of: Uint8Array): number =>
    draw.below(Math.max(1, Math.ceil(of.length / size))) * size;
  const [at, from] = [place(bytes), place(source)];
  const ways: (() => string)[] = [
    () => {
      if (bytes.length === 0) return "empty";
      const bit = draw.below(bytes.length * 8);
      bytes[bit >>> 3]! ^= 1 << (bit & 7);
      return `bit ${bit & 7} of byte ${bit >>> 3} of ${name} flipped`;
    },
    () => {
      const length = draw.below(bytes.length + 1);
      files.set(name, bytes.slice(0, length));
      return `${name} cut to ${length}`;
    },
    () => {
      bytes.fill(0, at, at + size);
      return `${size} bytes of ${name} at ${at} zero`;
    },
    () => {
      bytes.set(source.slice(from, from + Math.min(size, bytes.length - at)), at);
      return `${size} bytes of ${other} at ${from} over ${name} at ${at}`;
    },
    () => {
      if (name !== other) return "no swap";
      const [a, b] = [bytes.slice(at, at + size), bytes.slice(from, from + size)];
      bytes.set(b.subarray(0, bytes.length - at), at);
      bytes.set(a.subarray(0, bytes.length - from), from);
      return `${size} bytes of ${name} at ${at} and ${from} swapped`;
    },
    () => {
      const more = Uint8Array.from({ length: draw.below(300) }, () => draw.below(256));
      const rest = draw.oneIn(2) ? more : more.fill(0);
      files.set(name, new Uint8Array(Buffer.concat([bytes, rest])));
      return `${more.length} bytes behind ${name}`;
    },
    () => {
      files.delete(name);
      return `${name} removed`;
    },
    () => {
      files.set(name, source).set(other, bytes);
      return `${name} and ${other} swapped`;
    },
  ];
  // Whole files less often: what is left is of no interest soon.
  return draw.pick(draw.oneIn(3) ? ways : ways.slice(0, 6))();
}

const contents = new Map<GoldenDirectory, LogContent>();
const views = new Map<GoldenDirectory, LogView | Refusal>();

function contentOf(golden: GoldenDirectory): LogContent {
  const content = contents.get(golden) ?? readLog(golden.files);
  contents.set(golden, content);
  return content;
}

function rightOf(golden: GoldenDirectory): LogView | Refusal {
  const view = views.get(golden) ?? verdictOf(golden.files);
  views.set(golden, view);
  return view;
}

/** Is it what the log showed when it had only some of its first commits? */
function isBeginning(view: LogView, content: LogContent): boolean {
  const last = view.commits.at(-1)?.revision ?? view.oldest;
  const commits = content.commits.filter(({ revision }) => revision <= last);
  const entries = new Map<string, Entry>();
  for (const { events } of commits) {
    for (const event of events) {
      entries.delete(event.key);
      if (event.type === "put") {
        const { type: _, ...entry } = event;
        entries.set(event.key, entry);
      }
    }
  }
  const ends = [0, ...content.commits.map(({ revision }) => revision)];
  for (const { kind, createRevision } of content.records) {
    if (kind === "reserve" || kind === "void") ends.push(createRevision);
  }
  const right = viewOfContent({
    ...content,
    revision: view.revision,
    oldest: view.oldest,
    commits,
    entries,
  });
  return ends.includes(view.revision) && view.oldest <= content.oldest && same(view, right);
}
