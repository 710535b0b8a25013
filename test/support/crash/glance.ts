/**
 * Opens an image only to look at it: nothing works on it, and it is left as after the death of the
 * process. An image with the same bytes as one before it is not opened again: it shows the same.
 */

import { FakeTime } from "../fake-time.ts";
import type { Random } from "../random.ts";
import type { Image } from "./life.ts";
import { holdRevision, lookAt, lookBack, holdShown, type Shown } from "./look.ts";
import { openSmall } from "./opened.ts";
import { withoutUpkeep, type SmallOptions } from "./options.ts";

/** What the images of one life have shown, by their content and the time they were opened at. */
export type Glances = Map<bigint, Shown>;

/** @throws in words when something is there that may not be, or is not there that must be. */
export async function glanceAt(
  image: Image,
  options: SmallOptions,
  random: Random,
  glances: Glances,
): Promise<void> {
  const { disk, now, pledge } = image;
  const content = Bun.hash(String(now), disk.fingerprint());
  const known = glances.get(content);
  if (known !== undefined) {
    const { store, shown, ledger } = image;
    holdShown(known, { store, shown, wanted: ledger.lastUpTo(pledge.now.revision) }, pledge.now);
    return;
  }
  const time = new FakeTime();
  time.now = now;
  const ledger = Object.assign(image.ledger.copy(), { store: image.store, shown: image.shown });
  let failed: Error | undefined;
  const store = await openSmall({
    disk,
    time,
    random,
    options: withoutUpkeep(options),
    failed: (error) => void (failed ??= error),
  });
  await lookAt(store, ledger, pledge.now, now);
  if (image.isSynced) holdRevision(store, ledger);
  if (random.oneIn(16)) await lookBack(store, ledger, random);
  if (failed !== undefined) throw failed;
  const { store: id, revision, oldest } = store.status();
  glances.set(content, { store: id, revision, oldest, last: ledger.last });
  disk.kill();
}
