/**
 * The run of `guarantees.test.ts` for as long as it takes: `bun test/guarantees/long.ts [DISCONNECTS]
 * [SEED]`. Goes on store after store, each with the next seed; ends at the first violation, which it
 * prints with the seed of its store.
 */

import { build, isStale } from "../../scripts/build.ts";
import { withSeed } from "../support/random.ts";
import { whatWasMet } from "./met.ts";
import { runWatchers, type RunReport } from "./run.ts";

/** Broken connections in the life of one store. */
const DISCONNECTS_EACH = 2_000;
/** Many, as most of the time they wait. */
const CLIENTS = 60;

const [total = 100_000, first = Math.floor(Math.random() * 2 ** 32)] = Bun.argv
  .slice(2)
  .map((text) => {
    const number = Number(text);
    if (Number.isSafeInteger(number) && number >= 0) return number;
    throw new Error(
      `usage: bun test/guarantees/long.ts [DISCONNECTS] [SEED]; ${text} is no number`,
    );
  });

if (isStale()) build();
console.log(`seed ${first}`);
const began = performance.now();
const all = new Map<string, number>();
let [disconnects, kills, commits] = [0, 0, 0];
for (let seed = first; disconnects < total && process.exitCode === undefined; seed++) {
  const wanted = Math.min(DISCONNECTS_EACH, total - disconnects);
  let report: RunReport | undefined;
  await withSeed(
    seed,
    async () => void (report = await runWatchers({ seed, disconnects: wanted, clients: CLIENTS })),
  );
  if (report === undefined) break;
  disconnects += report.disconnects;
  kills += report.kills;
  commits += report.truth.commits.length;
  for (const [what, count] of whatWasMet(report.records)) {
    all.set(what, (all.get(what) ?? 0) + count);
  }
  tell(seed, report);
}
for (const [what, count] of [...all].toSorted()) console.log(`${count} × ${what}`);

/** One line a store. */
function tell(seed: number, { violations, runMs, checkMs }: RunReport): void {
  const seconds = Math.round((performance.now() - began) / 1_000);
  const counts = `${disconnects} broken connections, ${kills} kills, ${commits} commits`;
  const times = `the last run in ${Math.round(runMs)} ms, checked in ${Math.round(checkMs)} ms`;
  console.log(`${seconds} s: ${counts}; ${times}`);
  for (const violation of violations.slice(0, 10)) console.log(JSON.stringify(violation));
  if (violations.length === 0) return;
  console.log(`${violations.length} violations with seed ${seed}`);
  process.exitCode = 1;
}
