/** What has been shown of a store so far, to anybody. */

export class Known {
  #revision = 0;
  /** From `at` on the store was at `revision` or above; both rise. */
  readonly moments: { readonly revision: number; readonly at: number }[] = [];

  /** The newest revision that any answer or frame has shown. */
  get revision(): number {
    return this.#revision;
  }

  note(revision: number, at: number): void {
    if (revision <= this.#revision) return;
    this.#revision = revision;
    // A few a second will do.
    const last = this.moments.at(-1);
    if (last === undefined || at > last.at + MOMENT_MS) this.moments.push({ revision, at });
  }
}

// --- internal ---

const MOMENT_MS = 50;
