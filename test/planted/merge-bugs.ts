/** Bugs in merges, and in what they leave out. */

import type { Bug } from "./bug.ts";

const MERGE = "src/log/merge.ts";
const SURVEY = "src/log/survey.ts";
const MERGING = "src/log/merging.ts";

export const MERGE_BUGS: readonly Bug[] = [
  {
    name: "a merged segment has its name before it is synced",
    file: MERGE,
    find: "    await this.flush();\n    await this.#segment.file.sync();\n",
    replace: "    await this.flush();\n",
    caughtBy: { file: "merge" },
  },
  {
    name: "replaced segments are removed before the directory is synced",
    file: MERGE,
    find: "    await syncNames(options);\n  } catch",
    replace: "  } catch",
    caughtBy: { file: "merge" },
  },
  {
    name: "a merge loses the newest record of a key",
    file: SURVEY,
    find: "return look.add(bytes, newest === header.revision);",
    replace: "return look.add(bytes, false);",
    caughtBy: { file: "merge" },
  },
  {
    name: "a merge loses the first revision above the oldest readable one",
    file: SURVEY,
    find: "if (header.revision > this.#oldest) return",
    replace: "if (header.revision > this.#oldest + 1) return",
    caughtBy: { file: "merge" },
  },
  {
    name: "a merge leaves out a deletion whose put stays",
    file: SURVEY,
    find: "        this.#tombstones.delete(key);\n",
    replace: "",
    caughtBy: { file: "merge" },
  },
  {
    name: "the last record that is left of a commit does not end it",
    file: MERGE,
    find: "const flags = goesOn ? 0 : FLAG_COMMIT_END;",
    replace: "const flags = goesOn ? 0 : this.#buffer[last.at + 13]! & FLAG_COMMIT_END;",
    caughtBy: { file: "merge" },
  },
  {
    name: "a merged segment does not know up to where it was merged",
    file: MERGE,
    find: "compactedRevision: oldest,",
    replace: "compactedRevision: first.compactedRevision,",
    caughtBy: { file: "merge" },
  },
  {
    name: "a merged segment names the first of those it stands for only",
    file: MERGE,
    find: "last: last.merged?.last ?? last.number }",
    replace: "last: first.number }",
    caughtBy: { file: "merge" },
  },
  {
    name: "the index is not pointed to a merged segment",
    file: MERGE,
    find: "  await repoint(options, replaced, merged, moves, turns.slice);\n",
    replace: "",
    caughtBy: { file: "crash-images", name: "whatever a crash leaves" },
  },
  {
    name: "a merge forgets what is void",
    file: SURVEY,
    find: "return kind === KIND.void && createRevision > this.#oldest;",
    replace: "return kind === KIND.void && createRevision < 0;",
    caughtBy: { file: "voids", name: "after a merge" },
  },
  {
    name: "the end of a merged segment has not the newest revision",
    file: MERGE,
    find: "revision: nextRevision - 1,",
    replace: "revision: 0,",
    caughtBy: { file: "merge" },
  },
  {
    name: "a merge goes beyond what may be forgotten",
    file: MERGING,
    find: "await new Survey(index, oldest, isWorth)",
    replace: "await new Survey(index, horizon.revision, isWorth)",
    caughtBy: { file: "merge", name: "keeps all history" },
  },
  {
    name: "a merge moves a key whose record has changed meanwhile",
    file: MERGE,
    find: "if (ids.has(segmentOf(from))) {",
    replace: "if (from >= 0) {",
    caughtBy: { file: "merge" },
  },
  {
    name: "a merged segment has no marks",
    file: MERGE,
    find: "if (commit !== undefined && !this.#isOpen) this.#segment.mark",
    replace: "if (commit === null && !this.#isOpen) this.#segment.mark",
    caughtBy: { file: "checkpoint", name: "are the same with their checkpoint" },
  },
  {
    name: "what was merged is not read back",
    file: MERGE,
    find: '  if (!isSame) throw new Error("what was merged does not read back");\n',
    replace: "",
    caughtBy: { file: "merge" },
  },
];
