/**
 * Images of a disk as crashes leave it, at every call of a store under load: each is opened by the
 * engine, held against what may be there, and some are crashed again while that goes on.
 *
 *   life ──call──call──call──▶ …       a store on a disk, which opens, works and closes
 *         │     │     └ image          what a power cut or the death of the process leaves here:
 *         │     └ image                the next life begins with it, and has images of its own,
 *         └ image                      up to the third generation
 *
 * Everything follows from the seed, and each image from the seed and its path.
 */

import { FakeDisk } from "../fake-disk.ts";
import { FakeTime } from "../fake-time.ts";
import { random, type Random } from "../random.ts";
import { glanceAt, type Glances } from "./glance.ts";
import { Ledger } from "./ledger.ts";
import { Life, type Image } from "./life.ts";
import { smallOptions, type SmallOptions } from "./options.ts";
import { Pledge } from "./pledge.ts";
import { withSteppedTime } from "./stepped-time.ts";

export interface ImagesOptions {
  readonly seed: number;
  /** The path of the only image to look at, as `17.3`, and of those that it comes from. */
  readonly only?: string | undefined;
}

/** How many images were looked at, by generation: the first at 0. */
export type Count = number[];

/** An image is not what it has to be. */
export class ImageError extends Error {
  /** How many were, before it. */
  readonly sound: number;

  constructor(seed: number, path: string, sound: number, cause: unknown) {
    const which = path === "" ? "the first life" : `image ${path}`;
    super(
      `${which} of seed ${seed}: ${(cause as Error).message}; to see it again: ` +
        `bun test/log/crash-images-long.ts 1 ${seed} ${path}`,
      { cause },
    );
    this.sound = sound;
  }
}

/** One store under load, and all images of it. @throws `ImageError`. */
export async function runImages({ seed, only }: ImagesOptions): Promise<Count> {
  const options = smallOptions(random(seed));
  const isWanted = (path: string): boolean =>
    only === undefined || only === path || only.startsWith(`${path}.`);
  const count: Count = [0, 0, 0];
  const look = async (image: Image, glances: Glances): Promise<void> => {
    const { path, generation } = image;
    const seeded = random(seed ^ Bun.hash.crc32(path));
    const own = vary(options, seeded);
    const life = new Life(image, own, seeded, isWanted);
    const goesOn = generation === 0 || seeded.oneIn(LIVES_ONE_IN);
    try {
      await withSteppedTime(seeded.below(2 ** 32), () =>
        goesOn ? life.live() : glanceAt(image, own, seeded, glances),
      );
    } catch (error) {
      throw new ImageError(seed, path, sum(count), error);
    }
    if (generation > 0) count[generation - 1]!++;
    const next: Glances = new Map();
    for (const one of life.images) await look(one, next);
  };
  await look(beginning(), new Map());
  return count;
}

/**
 * Runs stores with the seeds `seed`, `seed + step` and so on, until so many images were looked at;
 * answers how many, by generation.
 */
export async function lookAtImages(
  images: number,
  { seed, step = 1 }: { readonly seed: number; readonly step?: number },
  progress: (count: Count, runs: number) => void = () => undefined,
): Promise<Count> {
  const total: Count = [0, 0, 0];
  for (let run = 0; sum(total) < images; run++) {
    const count = await runImages({ seed: seed + run * step }).catch((error: ImageError) => {
      error.message += ` (after ${sum(total) + error.sound} images)`;
      throw error;
    });
    for (const [generation, more] of count.entries()) total[generation]! += more;
    progress(total, run + 1);
  }
  return total;
}

export function sum(count: Count): number {
  return count.reduce((total, more) => total + more, 0);
}

// --- internal ---

/** Images that are lived on, of all; the others are opened and looked at. */
const LIVES_ONE_IN = 12;

function beginning(): Image {
  return {
    path: "",
    generation: 0,
    disk: new FakeDisk(),
    now: new FakeTime().now,
    ledger: new Ledger(),
    store: undefined,
    shown: 0,
    pledge: new Pledge(),
    isSynced: true,
  };
}

/** Who starts a store again may start it with other options. */
function vary(options: SmallOptions, random: Random): SmallOptions {
  if (!random.oneIn(6)) return options;
  const others = smallOptions(random);
  // Where every answer waits for the disk, more can be held.
  const isSync = options.durability?.mode === "sync";
  return isSync ? { ...others, durability: { mode: "sync" } } : others;
}
