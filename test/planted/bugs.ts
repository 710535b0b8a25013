/** All bugs that are planted. */

import type { Bug } from "./bug.ts";
import { COPY_BUGS } from "./copy-bugs.ts";
import { FORMAT_BUGS } from "./format-bugs.ts";
import { MERGE_BUGS } from "./merge-bugs.ts";
import { START_BUGS } from "./start-bugs.ts";
import { UPKEEP_BUGS } from "./upkeep-bugs.ts";
import { WRITE_BUGS } from "./write-bugs.ts";

export const BUGS: readonly Bug[] = [
  ...WRITE_BUGS,
  ...START_BUGS,
  ...FORMAT_BUGS,
  ...MERGE_BUGS,
  ...UPKEEP_BUGS,
  ...COPY_BUGS,
];
