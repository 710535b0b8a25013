/** What a workload came to: operations, their times, and errors by their codes. */

import type { ErrorCode, KvError } from "../errors.ts";
import { Histogram } from "./bench-histogram.ts";

export interface CountedErrors {
  readonly code: ErrorCode;
  readonly count: number;
  /** Of the first one. */
  readonly message: string;
}

export class Tally {
  /** Operations that succeeded. */
  operations = 0;
  /** Milliseconds in which they did, until now. */
  elapsedMs = 0;
  /** One time for each request: one operation, or a frame of several. */
  readonly times = new Histogram();
  readonly #errors = new Map<ErrorCode, { count: number; message: string }>();

  /** A request was answered. */
  succeeded(operations: number, milliseconds: number): void {
    this.operations += operations;
    this.times.record(milliseconds);
  }

  /** Operations failed; they count as errors and nowhere else. */
  failed({ code, message }: KvError, operations = 1): void {
    const known = this.#errors.get(code);
    if (known !== undefined) known.count += operations;
    else this.#errors.set(code, { count: operations, message });
  }

  /** Operations that failed. */
  get failures(): number {
    return [...this.#errors.values()].reduce((sum, { count }) => sum + count, 0);
  }

  errors(): CountedErrors[] {
    return [...this.#errors].map(([code, error]) => ({
      code,
      count: error.count,
      message: error.message,
    }));
  }

  get perSecond(): number {
    return this.elapsedMs === 0 ? 0 : (this.operations * 1_000) / this.elapsedMs;
  }
}
