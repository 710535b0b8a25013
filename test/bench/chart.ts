/**
 * The results as a picture: a bar for each line, to the right where kv is ahead. Drawn by hand, since a
 * dozen bars are less than any package that draws them; readable on light and dark grounds, and with
 * no font but that of the reader.
 */

import type { Measured, Result } from "./runner.ts";

/** SVG. Lines that were skipped are left out. */
export function drawChart(results: readonly Result[], caption: string): string {
  const bars = results.filter((result) => "ratio" in result).map(barOf);
  const least = Math.min(0.5, ...bars.map(({ factor, goal }) => Math.min(factor, goal ?? 1)));
  const most = Math.max(2, ...bars.map(({ factor, goal }) => Math.max(factor, goal ?? 1)));
  const scale = makeScale(2 ** Math.floor(Math.log2(least)), 2 ** Math.ceil(Math.log2(most)));
  const height = TOP + bars.length * ROW + BOTTOM;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-${MARGIN} 0 ${WIDTH + 2 * MARGIN} ${height}" width="${WIDTH + 2 * MARGIN}" height="${height}" role="img" aria-labelledby="title">`,
    `<title id="title">${escape(TITLE)}</title>`,
    `<style>${STYLE}</style>`,
    `<text class="head" x="0" y="18">${escape(TITLE)}</text>`,
    `<text class="small" x="0" y="36">${escape(caption)}</text>`,
    ...gridOf(scale, height - BOTTOM),
    ...bars.flatMap((bar, index) => drawBar(bar, TOP + index * ROW, scale)),
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

/** How far ahead kv is: more of what is wanted, or less of what is not. Both are above 1. */
export function factorOf({ line, ratio }: Pick<Measured, "line" | "ratio">): number {
  return isLessBetter(line) ? 1 / ratio.median : ratio.median;
}

// --- internal ---

const TITLE = "How far kv is ahead (×, longer is better; 1 = the same)";
const WIDTH = 880;
/** On both sides. */
const MARGIN = 8;
const TOP = 64;
const BOTTOM = 8;
const ROW = 38;
/** Where bars begin, and where they end: room for their figures is left. */
const LEFT = 400;
const RIGHT = WIDTH - 64;

/** The colours have contrast enough on white and on black, should nobody say which it is. */
const STYLE = [
  "text{font-family:system-ui,sans-serif;font-size:13px;fill:#24292f}",
  ".head{font-size:15px;font-weight:600}",
  ".small{font-size:11px;fill:#656d76}",
  ".axis{stroke:#d0d7de}.one{stroke:#656d76}",
  ".bar{fill:#1f6feb}.behind{fill:#bf8700}.goal{stroke:#24292f;stroke-width:2}",
  "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#8d96a0}",
  ".axis{stroke:#30363d}.one{stroke:#8d96a0}.bar{fill:#4493f8}.behind{fill:#d29922}",
  ".goal{stroke:#e6edf3}}",
].join("");

interface Bar {
  readonly title: string;
  readonly against: string;
  readonly factor: number;
  readonly goal: number | undefined;
}

/** Where a factor stands, and the factors that are marked: powers of two. */
interface Scale {
  at(factor: number): number;
  readonly marks: readonly number[];
}

function barOf({ line, ratio }: Measured): Bar {
  const { title, against, goal } = line;
  const wanted = goal === undefined ? undefined : "least" in goal ? goal.least : 1 / goal.most;
  return { title, against, factor: factorOf({ line, ratio }), goal: wanted };
}

function isLessBetter({ goal, unit }: Measured["line"]): boolean {
  return goal === undefined ? unit !== "/s" : "most" in goal;
}

/** Logarithmic: twice as fast is as far to the right as half as fast is to the left. */
function makeScale(least: number, most: number): Scale {
  const span = Math.log2(most) - Math.log2(least);
  const count = Math.round(span) + 1;
  return {
    at: (factor) => LEFT + ((Math.log2(factor) - Math.log2(least)) / span) * (RIGHT - LEFT),
    marks: Array.from({ length: count }, (_, index) => least * 2 ** index),
  };
}

function gridOf(scale: Scale, bottom: number): string[] {
  return scale.marks.flatMap((mark) => {
    const x = round(scale.at(mark));
    return [
      `<line class="${mark === 1 ? "one" : "axis"}" x1="${x}" y1="${TOP - 8}" x2="${x}" y2="${bottom}"/>`,
      `<text class="small" x="${x}" y="${TOP - 12}" text-anchor="middle">${round(mark)}</text>`,
    ];
  });
}

function drawBar({ title, against, factor, goal }: Bar, y: number, scale: Scale): string[] {
  const [one, end] = [scale.at(1), scale.at(factor)];
  const [x, width] = [Math.min(one, end), Math.abs(end - one)];
  const label = Math.max(one, end) + 6;
  const kind = factor >= 1 ? "bar" : "behind";
  const parts = [
    `<text x="0" y="${y + 12}">${escape(title)}</text>`,
    `<text class="small" x="0" y="${y + 27}">${escape(against)}</text>`,
    `<rect class="${kind}" x="${round(x)}" y="${y + 4}" width="${round(width)}" height="18" rx="2"/>`,
    `<text x="${round(label)}" y="${y + 18}">${showFactor(factor)}</text>`,
  ];
  if (goal !== undefined) {
    const at = round(scale.at(goal));
    parts.push(`<line class="goal" x1="${at}" y1="${y}" x2="${at}" y2="${y + 26}"/>`);
  }
  return parts;
}

function showFactor(factor: number): string {
  return factor >= 10 ? factor.toFixed(0) : factor.toFixed(2);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
