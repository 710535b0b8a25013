/** A file system of its own for a data directory, a few MiB large, which can be filled by ballast. */

import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../support/temporary.ts";

export interface SmallDiskOptions {
  readonly kind: "tmpfs" | "ext4";
  readonly bytes: number;
}

export class SmallDisk implements AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;
  readonly #home;

  /** Needs root, and for ext4 a loop device. */
  constructor({ kind, bytes }: SmallDiskOptions) {
    this.#home = temporaryDirectory();
    this.path = join(this.#home.path, "disk");
    mkdirSync(this.path);
    if (kind === "tmpfs") run("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", this.path);
    else {
      const image = join(this.#home.path, "image");
      run("truncate", `--size=${bytes}`, image);
      run("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", image);
      run("mount", "-o", "loop", image, this.path);
    }
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  /** Takes all but so many bytes of what is free. */
  fill(leave: number): void {
    this.empty();
    const bytes = this.freeBytes - leave;
    if (bytes <= 0) return;
    try {
      writeFileSync(this.#ballast, Buffer.alloc(bytes, 1));
    } catch (error) {
      // The server takes room meanwhile.
      if ((error as { code?: string }).code !== "ENOSPC") throw error;
    }
  }

  /** Gives back what `fill` took. */
  empty(): void {
    rmSync(this.#ballast, { force: true });
  }

  /** No process may use it any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Files of a process that was killed just now may be open for a moment longer.
    for (let attempt = 1; ; attempt++) {
      try {
        run("umount", this.path);
        break;
      } catch (error) {
        if (attempt === UNMOUNT_ATTEMPTS) throw error;
        await Bun.sleep(50);
      }
    }
    this.#home.remove();
  }

  get #ballast(): string {
    return join(this.path, "ballast");
  }
}

// --- internal ---

const UNMOUNT_ATTEMPTS = 100;

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")} failed: ${stderr}`);
}
