/** What a transaction did, as a table: a row for each operation of the list that ran. */

import type { CommitResult, ListedEntry, Operation, OperationResult, Txn } from "../kv.ts";
import { isFolder, mergeRows } from "./list-rows.ts";
import { escapeControls, showText } from "./output.ts";
import { previewValue, showCount, timeLeft } from "./preview.ts";
import { describeRange } from "./ranges.ts";
import { Table } from "./table.ts";

/** The lines of the table; none where no operation ran. */
export function showOutcome(txn: Txn, { succeeded, results }: CommitResult): string {
  const operations = succeeded ? txn.then : (txn.else ?? []);
  const table = new Table(["OPERATION", "KEY", "RESULT"]);
  return table.format(
    results.flatMap((result, index) => {
      const operation = operations[index]!;
      const isUndone = "revision" in result && result.revision === 0;
      const what = isUndone ? "undone by a later operation" : outcome(result);
      return [[operation.op, subject(operation), what], ...listed(operation, result)];
    }),
  );
}

/** The first check that failed, and what it asked for; how many more there are. */
export function showFailedChecks(txn: Txn, failed: readonly number[]): string {
  const [first = 0, ...others] = failed;
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  return `checks[${first}] on ${showText(txn.checks[first]?.key ?? "")}${more} did not hold`;
}

// --- internal ---

function subject(operation: Operation): string {
  if (!("range" in operation)) return escapeControls(operation.key);
  const { range } = operation;
  return range.key === undefined ? describeRange(range) : escapeControls(range.key);
}

function outcome(result: OperationResult): string {
  switch (result.op) {
    case "put":
      return (result.version === 1 ? "created" : "replaced") + deadline(result.expiresAt);
    case "touch":
      return result.expiresAt === undefined ? "never expires" : deadline(result.expiresAt).slice(2);
    case "incr":
      return String(result.value) + deadline(result.expiresAt);
    case "delete":
      return result.deleted === 1 ? "deleted" : "was absent";
    case "deleteRange":
      return `${showCount(result.deleted, "key")} deleted${result.more ? ", there are more" : ""}`;
    case "get":
      return result.entry === undefined ? "absent" : found(result.entry);
    case "list":
      if (result.count !== undefined) return showCount(result.count, "key");
      return [
        showCount(result.entries.length, "key"),
        ...(result.folders === undefined ? [] : [showCount(result.folders.length, "folder")]),
        ...(result.more ? ["there are more"] : []),
      ].join(", ");
  }
}

/** What a list found, each row below it. */
function listed(operation: Operation, result: OperationResult): string[][] {
  if (result.op !== "list" || operation.op !== "list") return [];
  const rows = mergeRows(result.entries, result.folders ?? [], operation.reverse === true);
  return rows.map((row) =>
    isFolder(row)
      ? ["", escapeControls(row.folder), "folder"]
      : ["", escapeControls(row.key), found(row)],
  );
}

function found({ value, contentType, revision, expiresAt }: ListedEntry): string {
  const shown = value === undefined ? `revision ${revision}` : previewValue(value, contentType);
  return shown + deadline(expiresAt);
}

function deadline(expiresAt: number | undefined): string {
  return expiresAt === undefined ? "" : `, expires in ${timeLeft(expiresAt)}`;
}
