/** A fake disk whose syncs of segments end only when they are told to, and which counts them. */

import type { DiskFile } from "../../src/log/disk.ts";
import { FakeDisk } from "./fake-disk.ts";
import { turns } from "./turns.ts";

export class HeldDisk extends FakeDisk {
  /** Do syncs wait for `release`? */
  isHeld = false;
  /** Syncs that were begun. */
  syncs = 0;
  /** How many of them were under way at the same time, at most. */
  syncsAtOnce = 0;
  /** Segments that were closed while a sync of them was under way. */
  closedEarly = 0;
  #running = 0;
  #waiting: (() => void)[] = [];

  override open(name: string): DiskFile {
    return this.#held(super.open(name));
  }

  override create(name: string): DiskFile {
    return this.#held(super.create(name));
  }

  /** Lets the syncs end that wait, and waits until those who wait for them have gone on. */
  async release(): Promise<void> {
    for (const end of this.#waiting.splice(0)) end();
    await turns();
  }

  #held(file: DiskFile): DiskFile {
    let running = 0;
    return {
      get name() {
        return file.name;
      },
      set name(name) {
        file.name = name;
      },
      size: () => file.size(),
      read: (into, offset) => file.read(into, offset),
      readAsync: (into, offset) => file.readAsync(into, offset),
      write: (bytes, offset) => file.write(bytes, offset),
      truncate: (size) => file.truncate(size),
      close: () => {
        if (running > 0) this.closedEarly++;
        file.close();
      },
      sync: async () => {
        if (!file.name.endsWith(".log")) return file.sync();
        this.syncs++;
        this.#running++;
        running++;
        this.syncsAtOnce = Math.max(this.syncsAtOnce, this.#running);
        try {
          // What it covers is what was written until now.
          const done = file.sync();
          if (this.isHeld) await new Promise<void>((resolve) => this.#waiting.push(resolve));
          await done;
        } finally {
          this.#running--;
          running--;
        }
      },
    };
  }
}
