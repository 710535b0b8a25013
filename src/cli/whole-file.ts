/** A file that is there whole or not at all: written beside its name, synced, then renamed. */

import { constants, realpathSync, statSync, unlinkSync } from "node:fs";
import { open, rename, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileFailure } from "./file-failure.ts";
import { Failure } from "./failure.ts";
import { showText } from "./output.ts";

export class WholeFile {
  /** The path as it was given. */
  readonly path: string;
  /** Where a link leads to. */
  readonly #target: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  readonly #replaces: boolean;

  /**
   * Begins the file; `replaces` allows one of that name to be there already.
   * @throws `Failure` when it is there and must not be, or cannot be made.
   */
  static async begin(path: string, replaces: boolean): Promise<WholeFile> {
    try {
      const target = targetOf(path);
      checkFree(path, target, replaces);
      const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.partial`);
      const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
      const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      return new WholeFile(path, target, temporary, file, replaces);
    } catch (error) {
      throw fileFailure(error, `cannot write ${showText(path)}`);
    }
  }

  private constructor(
    path: string,
    target: string,
    temporary: string,
    file: FileHandle,
    replaces: boolean,
  ) {
    this.path = path;
    this.#target = target;
    this.#temporary = temporary;
    this.#file = file;
    this.#replaces = replaces;
  }

  /** @throws `Failure`. */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await this.#file.write(bytes, done);
        done += bytesWritten;
      }
    } catch (error) {
      throw fileFailure(error, `cannot write ${showText(this.path)}`);
    }
  }

  /** All is written: gives it its name, for good. @throws `Failure`. */
  async finish(): Promise<void> {
    try {
      await this.#file.sync();
      await this.#file.close();
      checkFree(this.path, this.#target, this.#replaces);
      await rename(this.#temporary, this.#target);
      const directory = await open(dirname(this.#target), "r");
      await directory.sync();
      await directory.close();
    } catch (error) {
      throw fileFailure(error, `cannot write ${showText(this.path)}`);
    }
  }

  /** Takes away what was written, where there is no whole file yet. */
  async abandon(): Promise<void> {
    try {
      unlinkSync(this.#temporary);
    } catch {
      // It has its name already, or its directory is gone.
    }
    await this.#file.close().catch(() => undefined);
  }
}

// --- internal ---

function targetOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function checkFree(path: string, target: string, replaces: boolean): void {
  const there = statSync(target, { throwIfNoEntry: false });
  if (there === undefined) return;
  const name = showText(path);
  if (there.isDirectory()) throw new Failure(`${name} is a directory; name a file in it`);
  if (!there.isFile()) throw new Failure(`${name} is no regular file; write - for stdout`);
  if (!replaces) {
    throw new Failure(`${name} is there already; choose another name, or replace it with --force`);
  }
}
