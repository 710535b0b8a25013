/**
 * Rows of text in aligned columns, page by page: a listing may be longer than memory should hold.
 */

export class Table {
  readonly #titles: readonly string[];
  readonly #right: ReadonlySet<string>;
  /** In cells of a terminal, where some characters take two. They only grow from page to page. */
  readonly #widths: number[];
  /** The columns that are shown. One without a cell is left out; it comes with its first cell. */
  #shown: readonly number[] = [];

  /** `right`: the titles of the columns that are aligned to the right. */
  constructor(titles: readonly string[], right: readonly string[] = []) {
    this.#titles = titles;
    this.#right = new Set(right);
    this.#widths = titles.map((title) => title.length);
  }

  /**
   * The lines of some rows, those of the titles before the first, and again when there are more
   * columns than before. No rows, no lines. A cell is fit for a terminal: nothing is escaped here.
   */
  format(rows: readonly (readonly string[])[]): string {
    if (rows.length === 0) return "";
    const filled = new Set(this.#shown);
    for (const row of rows) {
      for (const [column, cell] of row.entries()) {
        if (cell !== "") filled.add(column);
        this.#widths[column] = Math.max(this.#widths[column]!, Bun.stringWidth(cell));
      }
    }
    const hasNew = filled.size > this.#shown.length;
    this.#shown = [...this.#titles.keys()].filter((column) => filled.has(column));
    const lines = hasNew ? [this.#titles, ...rows] : rows;
    return lines.map((row) => `${this.#line(row)}\n`).join("");
  }

  #line(row: readonly string[]): string {
    const cells = this.#shown.map((column) => {
      const cell = row[column]!;
      const padding = " ".repeat(this.#widths[column]! - Bun.stringWidth(cell));
      return this.#right.has(this.#titles[column]!) ? padding + cell : cell + padding;
    });
    return cells.join("  ").trimEnd();
  }
}
