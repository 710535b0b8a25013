/** Entries as rows of a table, each with how long it has left when any of them expires. */

import type { ListedEntry } from "../kv.ts";
import { isFolder, type ListRow } from "./list-rows.ts";
import { escapeControls } from "./output.ts";
import { previewValue, timeLeft } from "./preview.ts";
import { Table } from "./table.ts";

export class EntryTable {
  readonly #table = new Table(
    ["KEY", "REVISION", "VERSION", "EXPIRES IN", "CONTENT TYPE", "VALUE"],
    ["REVISION", "VERSION", "EXPIRES IN"],
  );

  /** The lines of some rows. Values are shown where there are any. */
  format(rows: readonly ListRow[]): string {
    return this.#table.format(
      rows.map((row) =>
        isFolder(row) ? [escapeControls(row.folder), "", "", "", "", ""] : cells(row),
      ),
    );
  }
}

// --- internal ---

function cells({ key, revision, version, contentType, expiresAt, value }: ListedEntry): string[] {
  return [
    escapeControls(key),
    String(revision),
    String(version),
    expiresAt === undefined ? "" : timeLeft(expiresAt),
    escapeControls(contentType),
    value === undefined ? "" : previewValue(value, contentType),
  ];
}
