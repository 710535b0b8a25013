/**
 * One life of a store on a disk: it is opened, held against what may be there, works, and is left; and
 * images of the disk are taken on the way, as a crash would leave it.
 */

import type { LogStore } from "../../../src/log/engine.ts";
import { SHORT, type Call, type FakeDisk } from "../fake-disk.ts";
import { FakeTime } from "../fake-time.ts";
import { random as randomOf, type Random } from "../random.ts";
import type { Ledger } from "./ledger.ts";
import { load, maintain, settle } from "./load.ts";
import { hold, holdRevision, lookAt, lookBack } from "./look.ts";
import { holdLeft, openSmall } from "./opened.ts";
import { withoutUpkeep, type SmallOptions } from "./options.ts";
import { Pledge } from "./pledge.ts";

/** Images of images of images. */
export const GENERATIONS_MAX = 3;

/** A disk as a crash left it, and what is known of it. */
export interface Image {
  /** Which one: `17.3` is number 3 of the life that began with image 17. */
  readonly path: string;
  /** Crashes that it has been through. */
  readonly generation: number;
  readonly disk: FakeDisk;
  /** Milliseconds since 1970, when it is opened. */
  readonly now: number;
  /** What the life that it comes from has made, all of it. */
  readonly ledger: Ledger;
  /** The store id and the highest revision that had been shown. */
  readonly store: string | undefined;
  readonly shown: number;
  /** What must be there. */
  readonly pledge: Pledge;
  /** Was every answer on it given after a sync? */
  readonly isSynced: boolean;
}

export class Life {
  /** Taken on the way; to be looked at when the life is over. */
  readonly images: Image[] = [];
  readonly #image: Image;
  readonly #options: SmallOptions;
  readonly #isWanted: (path: string) => boolean;
  readonly #random: Random;
  readonly #time = new FakeTime();
  /** What may be there until the store is open, and what is there from then on. */
  readonly #ledger: Ledger;
  #store: LogStore | undefined;
  #failed: Error | undefined;
  #isWorking = false;
  #isClosing = false;
  #taken = 0;
  /** The disk is filling up: the rest of a write is about to be refused, or was, in this step. */
  #filling: "now" | "before" | undefined;
  #hasFilled = false;
  readonly #pledge: Pledge;

  constructor(
    image: Image,
    options: SmallOptions,
    random: Random,
    isWanted: (path: string) => boolean,
  ) {
    this.#image = image;
    this.#options = options;
    this.#random = random;
    this.#isWanted = isWanted;
    this.#time.now = image.now;
    this.#ledger = image.ledger.copy();
    this.#ledger.store = image.store;
    this.#ledger.shown = image.shown;
    this.#pledge = image.pledge.copy();
  }

  /** @throws in words when something is there that may not be, or is not there that must be. */
  async live(): Promise<void> {
    const { disk, pledge, generation } = this.#image;
    const random = this.#random;
    disk.fault = (call) => this.#beforeCall(call);
    const store = await this.#open(disk);
    const again = generation > 0 && random.oneIn(2) ? disk.fork() : undefined;
    // The store goes on to forget history by itself: the disk as it is now knows nothing of that.
    const { oldest } = store.status();
    await lookAt(store, this.#ledger, pledge.now, this.#time.now);
    if (this.#image.isSynced) holdRevision(store, this.#ledger);
    this.#store = store;
    this.#note();
    if (generation > 0 && random.oneIn(4)) await lookBack(store, this.#ledger, random);
    if (again !== undefined) await this.#lookAgain(again, this.#ledger.copy(), oldest);
    if (generation === 0 || random.oneIn(2)) await this.#work(store);
    if (generation > 0 && random.oneIn(3)) {
      // The process dies: nothing that it had begun goes on beside the lives that follow.
      disk.kill();
      await store.close().catch(() => undefined);
      return;
    }
    this.#isClosing = true;
    await store.close();
    if (this.#failed !== undefined) throw this.#failed;
    holdLeft(disk);
  }

  async #work(store: LogStore): Promise<void> {
    const { generation } = this.#image;
    const ledger = this.#ledger;
    const random = this.#random;
    const steps = generation === 0 ? 4 + random.below(20) : 1 + random.below(6);
    const answered = (): void => this.#note();
    const rested = (): void => void (this.#filling = undefined);
    const time = this.#time;
    this.#isWorking = true;
    const goesOn = await load({ store, ledger, time, random, answered, rested }, steps);
    this.#isWorking = false;
    if (this.#failed !== undefined) throw this.#failed;
    hold(goesOn, "a write failed on a sound disk");
    if (this.#hasFilled) {
      // What a full disk has kept from expiring does so when it is read.
      await store.list({});
      await settle({ store, ledger, time, random, answered });
    }
    if (random.oneIn(4)) await maintain(store);
    if (generation === 0 || random.oneIn(4)) await lookBack(store, ledger, random);
  }

  async #open(disk: FakeDisk, options = this.#options): Promise<LogStore> {
    return await openSmall({
      disk,
      time: this.#time,
      random: this.#random,
      options,
      failed: (error) => {
        // What the store does by itself may want room as well, when there is none.
        const isRefused = this.#hasFilled && error.message.includes("the disk is full");
        if (!isRefused) this.#failed ??= error;
      },
    });
  }

  /**
   * A second recovery gives the same result, and a third one changes nothing. `oldest` is the oldest
   * readable revision of the first one when the disk was left to the second.
   */
  async #lookAgain(disk: FakeDisk, ledger: Ledger, oldest: number): Promise<void> {
    const { last } = ledger;
    const second = await this.#open(disk);
    await lookAt(second, ledger, { revision: last, oldest }, this.#time.now);
    if (this.#image.isSynced) holdRevision(second, ledger);
    await second.close();
    holdLeft(disk);
    const before = segmentsOf(disk);
    // What a store changes by itself would count as well.
    const third = await this.#open(disk, withoutUpkeep(this.#options));
    const demand = { revision: last, oldest: ledger.oldestSeen };
    await lookAt(third, ledger, demand, this.#time.now);
    await third.close();
    hold(ledger.last === last, `a later recovery ends with ${ledger.last}, not with ${last}`);
    const same = Bun.deepEquals(before, segmentsOf(disk));
    hold(same, "a third recovery changes a log that was closed in order");
  }

  /** What is shown from now on may not be lost. */
  #note(): void {
    if (this.#store === undefined || this.#isClosing) return;
    this.#pledge.note(this.#store, this.#ledger);
  }

  /** At a call of the disk: takes images of it, and at times lets it be full. */
  #beforeCall(call: Call): string | undefined {
    const code = this.#fill(call);
    // What is refused in the end may be there until then: the ledger does not know it.
    if (this.#filling === undefined) this.#takeAt(call);
    return code;
  }

  /** At times a write to the log finds room for a part only, and none for the rest. */
  #fill({ kind, name, bytes }: Call): string | undefined {
    const random = this.#random;
    if (!this.#isWorking || kind !== "write" || !name.endsWith(".log")) return undefined;
    if (this.#filling === "now") {
      this.#filling = "before";
      return random.pick(["ENOSPC", "EDQUOT"]);
    }
    if (bytes!.length < 2 || !random.oneIn(10)) return undefined;
    this.#filling = "now";
    this.#hasFilled = true;
    return SHORT;
  }

  /** Takes images of the disk as a crash right here would leave it. */
  #takeAt(call: Call): void {
    const { generation } = this.#image;
    const random = this.#random;
    if (generation === GENERATIONS_MAX) return;
    if (generation > 0 && !random.oneIn(3)) return;
    this.#note();
    const cuts = generation === 0 ? 2 : 1;
    const seeds = Array.from({ length: cuts }, () => random.below(2 ** 32));
    const { disk } = this.#image;
    const bytes = random.oneIn(2) ? random.below((call.bytes?.length ?? 0) + 1) : 0;
    if (generation === 0 || random.oneIn(3)) {
      this.#take(this.#pledge.copy(), () => disk.fork(call, bytes));
      if (generation > 0) return;
    }
    for (const seed of seeds) {
      const source = bytes === 0 ? disk : disk.fork(call, bytes);
      this.#take(this.#pledge.cut(), () => source.afterPowerCut(randomOf(seed)));
    }
  }

  #take(pledge: Pledge, make: () => FakeDisk): void {
    const { path, generation, isSynced } = this.#image;
    const number = this.#taken++;
    const later = this.#random.oneIn(4) ? this.#random.below(10_000) : 0;
    const name = path === "" ? String(number) : `${path}.${number}`;
    if (!this.#isWanted(name)) return;
    const ledger = this.#ledger;
    this.images.push({
      path: name,
      generation: generation + 1,
      disk: make(),
      now: this.#time.now + later,
      ledger,
      store: this.#store === undefined ? this.#image.store : ledger.store,
      shown: ledger.shown,
      pledge,
      isSynced: isSynced && this.#options.durability?.mode === "sync",
    });
  }
}

// --- internal ---

function segmentsOf(disk: FakeDisk): [string, Uint8Array][] {
  const names = disk.list().filter((name) => name.endsWith(".log"));
  return names.toSorted().map((name) => [name, disk.bytes(name).slice()]);
}
