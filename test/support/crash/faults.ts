/**
 * One call of a store to its disk fails: every call in turn, in every way, once and from then on. The
 * store goes on or ends; after the death of the process and after power cuts all that it answered is
 * there.
 */

import { KvError } from "../../../src/errors.ts";
import type { LogStore } from "../../../src/log/engine.ts";
import { FakeDisk, SHORT } from "../fake-disk.ts";
import { FakeTime } from "../fake-time.ts";
import { random as randomOf, type Random } from "../random.ts";
import { Ledger } from "./ledger.ts";
import { load } from "./load.ts";
import { lookAt } from "./look.ts";
import { holdLeft, openSmall } from "./opened.ts";
import { smallOptions, type SmallOptions } from "./options.ts";
import { Pledge } from "./pledge.ts";
import { withSteppedTime } from "./stepped-time.ts";

/** A write takes only a part of the bytes, and there is no room for the rest. */
export const PART = "PART";

/** How a call fails. */
export interface Fault {
  /** Which call, from 1 on; those that change nothing count too. */
  readonly call: number;
  readonly code: "EIO" | "ENOSPC" | typeof SHORT | typeof PART;
  /** All later ones too. */
  readonly always: boolean;
}

/** Runs every fault of a seed; answers how many there were. @throws in words, with the command. */
export async function runFaults(seed: number): Promise<number> {
  const kinds = await runFault(seed, undefined);
  let cases = 0;
  for (const [at, kind] of kinds.entries()) {
    for (const code of codesOf(kind)) {
      for (const always of [false, true]) {
        await runFault(seed, { call: at + 1, code, always });
        cases++;
      }
    }
  }
  return cases;
}

/** Runs one store with a fault, or without. Answers the kinds of all calls to the disk. */
export async function runFault(seed: number, fault: Fault | undefined): Promise<string[]> {
  const seeded = randomOf(seed);
  const run = new FaultRun(smallOptions(seeded), seeded, fault);
  try {
    await withSteppedTime(seeded.below(2 ** 32), () => run.run());
  } catch (error) {
    const { call, code, always } = fault ?? { call: 0, code: "EIO", always: false };
    throw new Error(
      `${run.kinds[call - 1]}, call ${call}, fails with ${code}${always ? " for ever" : ""}: ` +
        `${(error as Error).message}; to see it again: ` +
        `bun test/log/call-faults-long.ts 1 ${seed} ${call} ${code} ${always ? "always" : "once"}`,
      { cause: error },
    );
  }
  return run.kinds;
}

// --- internal ---

/** Calls that do not look at what is there: only these can want room. */
const CHANGES = new Set<string>([
  "create",
  "write",
  "truncate",
  "sync",
  "rename",
  "unlink",
  "syncDirectory",
]);

function codesOf(kind: string): Fault["code"][] {
  if (kind === "write") return ["EIO", "ENOSPC", SHORT, PART];
  return CHANGES.has(kind) ? ["EIO", "ENOSPC"] : ["EIO"];
}

class FaultRun {
  /** Of all calls that can fail. */
  readonly kinds: string[] = [];
  readonly #options: SmallOptions;
  readonly #random: Random;
  readonly #fault: Fault | undefined;
  readonly #time = new FakeTime();
  readonly #ledger = new Ledger();
  readonly #pledge = new Pledge();
  /** Not while a test looks at the store. */
  #canFail = true;
  #hasEnded = false;
  #disk = new FakeDisk();

  constructor(options: SmallOptions, random: Random, fault: Fault | undefined) {
    this.#options = options;
    this.#random = random;
    this.#fault = fault;
  }

  async run(): Promise<void> {
    for (let life = 0; life < 2 && !this.#hasFailed; life++) {
      if (life > 0) this.#disk = this.#disk.fork();
      await this.#live(life > 0);
    }
    const cuts = [0, 1].map(() => this.#disk.afterPowerCut(this.#random));
    await this.#holdAfter(this.#disk.fork(), this.#pledge);
    for (const cut of cuts) await this.#holdAfter(cut, this.#pledge.cut());
  }

  get #hasFailed(): boolean {
    return this.#fault !== undefined && this.kinds.length >= this.#fault.call;
  }

  async #live(isLast: boolean): Promise<void> {
    const disk = this.#disk;
    const { failedSyncKeeps } = this.#random.oneIn(2)
      ? { failedSyncKeeps: () => this.#random.oneIn(2) }
      : disk;
    disk.failedSyncKeeps = failedSyncKeeps;
    disk.fault = ({ kind }) => this.#strike(kind);
    disk.lookFault = ({ kind }) => this.#strike(kind);
    const store = await this.#open();
    if (store === undefined) return;
    await this.#look(store);
    const steps = isLast ? 3 : 6;
    await load(
      {
        store,
        ledger: this.#ledger,
        time: this.#time,
        random: this.#random,
        answered: () => this.#pledge.note(store, this.#ledger),
        quietly: (work) => this.#quietly(work),
      },
      steps,
    );
    await this.#look(store);
    if (!isLast && this.#random.oneIn(2)) return;
    await store.close().catch(systemError);
    holdNoFile(disk);
  }

  /** The store, unless the fault keeps it from opening: then nothing is left open. */
  async #open(): Promise<LogStore | undefined> {
    const [disk, time, random] = [this.#disk, this.#time, this.#random];
    const failed = (error: Error): void => void (this.#hasEnded ||= error instanceof KvError);
    try {
      return await openSmall({ disk, time, random, options: this.#options, failed });
    } catch (error) {
      if (!this.#hasFailed) throw error;
      systemError(error);
      holdNoFile(disk);
      return undefined;
    }
  }

  /** Holds a store that goes on, or has ended, against what it answered. */
  async #look(store: LogStore): Promise<void> {
    await this.#quietly(async () => {
      const { unknown } = this.#ledger;
      const shown = this.#ledger.copy();
      shown.unknown = [];
      try {
        await lookAt(store, shown, this.#pledge.now, this.#time.now);
      } catch (error) {
        // Where a key is overdue and cannot expire any more, nothing can be read that meets it.
        if (this.#hasEnded && error instanceof KvError && error.code === "unavailable") return;
        throw error;
      }
      Object.assign(this.#ledger, shown, { unknown });
      this.#pledge.note(store, this.#ledger);
    });
  }

  async #holdAfter(disk: FakeDisk, pledge: Pledge): Promise<void> {
    const ledger = this.#ledger.copy();
    const [time, random, options] = [this.#time, this.#random, this.#options];
    const opening = { disk, time, random, options, failed: fail };
    const store = await openSmall(opening);
    await lookAt(store, ledger, pledge.now, time.now);
    await load({ store, ledger, time, random, answered: ignore }, 2);
    await store.close();
    holdLeft(disk);
    const { last: revision, oldestSeen: oldest } = ledger;
    const again = await openSmall(opening);
    await lookAt(again, ledger, { revision, oldest }, time.now);
    await again.close();
    holdLeft(disk);
  }

  #strike(kind: string): string | undefined {
    if (!this.#canFail) return undefined;
    this.kinds.push(kind);
    if (this.#fault === undefined) return undefined;
    const { call, code, always } = this.#fault;
    if (code === PART) return this.#strikeRest(kind, this.kinds.length - call, always);
    const strikes = always ? this.kinds.length >= call : this.kinds.length === call;
    return strikes && codesOf(kind).includes(code) ? code : undefined;
  }

  #strikeRest(kind: string, since: number, always: boolean): string | undefined {
    if (since <= 0) return since === 0 ? SHORT : undefined;
    const strikes = always ? CHANGES.has(kind) : since === 1 && kind === "write";
    return strikes ? "EDQUOT" : undefined;
  }

  async #quietly<T>(work: () => Promise<T>): Promise<T> {
    this.#canFail = false;
    try {
      return await work();
    } finally {
      this.#canFail = true;
    }
  }
}

/** @throws an error that does not say what the disk's was. */
function systemError(error: unknown): void {
  if (!/EIO|ENOSPC|EDQUOT/.test((error as Error).message)) throw error;
}

function ignore(): void {
  // The fault is expected, and so is what comes of it.
}

function fail(error: Error): never {
  throw error;
}

function holdNoFile(disk: FakeDisk): void {
  if (disk.openFiles !== 0) throw new Error(`${disk.openFiles} files are left open`);
}
