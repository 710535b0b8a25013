/**
 * Plants bugs: `bun test/planted/main.ts` all of them, one after the other, `bun test/planted/main.ts
 * NAME` that one, or those with NAME in their names, with what the tests print. Exits with 1 when one
 * is not caught.
 */

import type { Bug } from "./bug.ts";
import { BUGS } from "./bugs.ts";
import { catcherText, Workshop, type Outcome } from "./workshop.ts";

const [wanted] = process.argv.slice(2);
const exact = BUGS.filter(({ name }) => name === wanted);
const bugs = exact.length > 0 ? exact : BUGS.filter(({ name }) => name.includes(wanted ?? ""));

if (bugs.length === 0) console.error(`there is no bug with "${wanted}" in its name`);
using workshop = new Workshop();
const missed: Bug[] = [];
for (const bug of bugs) {
  const outcome = await workshop.runWith(bug);
  if (wanted !== undefined) console.log(outcome.output);
  console.log(line(bug, outcome));
  if (outcome.verdict !== "failed") missed.push(bug);
}
process.exitCode = missed.length > 0 || bugs.length === 0 ? 1 : 0;

// --- internal ---

function line({ name, caughtBy }: Bug, { verdict, why, seconds }: Outcome): string {
  const what = verdict === "failed" ? "caught" : "NOT CAUGHT";
  return `${what} in ${seconds.toFixed(1)} s: ${name}: ${catcherText(caughtBy)}: ${why}`;
}
