/**
 * Rows of text in aligned columns, page by page: a listing may be longer than memory should hold.
 */

export class Table {
  readonly #titles: readonly string[];
  readonly #right: ReadonlySet<number>;
  /** In cells of a terminal, where some characters take two. They only grow from page to page. */
  readonly #widths: number[];
  #begun = false;

  /** `right`: the titles of the columns that are aligned to the right. */
  constructor(titles: readonly string[], right: readonly string[] = []) {
    this.#titles = titles;
    this.#right = new Set(right.map((title) => titles.indexOf(title)));
    this.#widths = titles.map((title) => title.length);
  }

  /** The lines of some rows, those of the titles before the first. No rows, no lines. */
  format(rows: readonly (readonly string[])[]): string {
    if (rows.length === 0) return "";
    for (const row of rows) {
      for (const [column, cell] of row.entries()) {
        this.#widths[column] = Math.max(this.#widths[column]!, Bun.stringWidth(cell));
      }
    }
    const lines = this.#begun ? rows : [this.#titles, ...rows];
    this.#begun = true;
    return lines.map((row) => `${this.#line(row)}\n`).join("");
  }

  #line(row: readonly string[]): string {
    const cells = row.map((cell, column) => {
      const padding = " ".repeat(this.#widths[column]! - Bun.stringWidth(cell));
      return this.#right.has(column) ? padding + cell : cell + padding;
    });
    return cells.join("  ").trimEnd();
  }
}
