/** The room that is kept on the disk: how it is made, found again, and given up. */

import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { BACKGROUND_SYNC_BYTES, RESERVE_PIECE_BYTES } from "../../src/limits.ts";
import { Stopped, Turns } from "../../src/log/background.ts";
import { openDirectory } from "../../src/log/disk.ts";
import { giveUpReserve, openReserve, RESERVE_FILE, withReserve } from "../../src/log/reserve.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { random } from "../support/random.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";

const BYTES = 5 * RESERVE_PIECE_BYTES + 100;
/** While it is made it takes a sixteenth more. */
const MAKING = BYTES + Math.ceil(BYTES / 16);
const OTHER = "other";
const MIB = 1024 ** 2;

const going = (): Turns => new Turns(() => false);

/** Bytes that differ from place to place. */
const bytesOf = (count: number): Uint8Array => new Uint8Array(count).map((_, at) => at * 31 + 7);

function reserveOn(disk: FakeDisk, bytes = BYTES) {
  return openReserve({ disk, bytes, random: bytesOf })!;
}

/** A disk with another file on it. */
function disk(capacityBytes = Number.POSITIVE_INFINITY): FakeDisk {
  const made = new FakeDisk();
  made.place(OTHER, new Uint8Array(10));
  made.capacityBytes = capacityBytes;
  return made;
}

describe("making it", () => {
  test("takes the place of what an attempt before could not remove", async () => {
    const on = disk();
    on.place(`${RESERVE_FILE}.tmp`, new Uint8Array(BYTES * 2));
    expect(await reserveOn(on).fill(going())).toBe(true);
    expect(on.list().toSorted()).toEqual([RESERVE_FILE, OTHER].toSorted());
    expect(on.bytes(RESERVE_FILE)).toHaveLength(BYTES);
  });

  let directory: TemporaryDirectory | undefined;
  afterEach(() => directory?.remove());

  test("leaves a whole file of its size, which nobody else can read", async () => {
    directory = temporaryDirectory();
    const options = { disk: openDirectory(directory.path), bytes: BYTES, random: bytesOf };
    const reserve = openReserve(options)!;
    expect(reserve.state).toBe("absent");
    expect(await reserve.fill(going())).toBe(true);
    expect(reserve.state).toBe("whole");
    const path = join(directory.path, RESERVE_FILE);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(path).size).toBe(BYTES);
    // Not a hole anywhere, and nothing that could be stored as less than it is.
    expect(readFileSync(path).subarray(0, 100)).toEqual(Buffer.from(bytesOf(100)));
    expect(options.disk.list()).toEqual([RESERVE_FILE]);
  });

  test("syncs it bit by bit, and leaves others their turn between", async () => {
    const large = 3 * BACKGROUND_SYNC_BYTES;
    const on = disk();
    let unsynced = 0;
    let most = 0;
    on.fault = ({ kind, bytes }) => {
      if (kind === "sync") unsynced = 0;
      if (kind === "write") most = Math.max(most, (unsynced += bytes!.length));
      return undefined;
    };
    const filling = reserveOn(on, large).fill(going());
    let turns = 0;
    const state = { over: false };
    void filling.then(() => (state.over = true));
    for (; !state.over; turns++) await new Promise((resolve) => setImmediate(resolve));
    expect(turns).toBeGreaterThan(3);
    expect(most).toBeLessThanOrEqual(BACKGROUND_SYNC_BYTES);
  });

  test("is durable when it is done", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const on = disk();
      await reserveOn(on).fill(going());
      const after = on.powerCut(random(seed));
      expect(after.bytes(RESERVE_FILE)).toEqual(on.bytes(RESERVE_FILE));
      expect(reserveOn(after).state).toBe("whole");
    }
  });

  test("without room for it and a little more leaves nothing of it, whatever the room", async () => {
    for (let room = 0; room < MAKING; room += 9_973) {
      const on = disk(10 + room);
      const reserve = reserveOn(on);
      expect(reserve.mayFit).toBe(false);
      expect(await reserve.fill(going())).toBe(false);
      expect([reserve.state, on.list(), on.openFiles]).toEqual(["absent", [OTHER], 0]);
    }
    const on = disk(10 + MAKING);
    const reserve = reserveOn(on);
    expect(reserve.mayFit).toBe(true);
    expect(await reserve.fill(going())).toBe(true);
    expect(on.room()).toBe(MAKING - BYTES);
  });

  test("takes no more than a quarter of the disk, however little is free, and then stays", async () => {
    const on = disk(10 + BYTES);
    on.totalBytes = 2 * BYTES;
    const reserve = reserveOn(on);
    expect(await reserve.fill(going())).toBe(true);
    expect(on.bytes(RESERVE_FILE)).toHaveLength(Math.floor(BYTES / 2));
    on.capacityBytes = 10 + BYTES * 0.7;
    expect(reserveOn(on).state).toBe("whole");
    await reserve.giveUp();
    expect(reserveOn(on).wantedBytes).toBe(reserve.wantedBytes);
  });

  test("wants a sixteenth more than its size to be free, and 4 MiB at most", () => {
    expect(reserveOn(disk(), 64 * MIB).wantedBytes).toBe(68 * MIB);
    expect(reserveOn(disk(), 1_024 * MIB).wantedBytes).toBe(1_028 * MIB);
    expect(reserveOn(disk(), 1_600).wantedBytes).toBe(1_700);
  });

  test.each(["ENOSPC", "EDQUOT", "EFBIG", "EIO"])(
    "%s at any call leaves nothing half made",
    async (code) => {
      for (let fails = 1; ; fails++) {
        const on = disk();
        const reserve = reserveOn(on);
        on.fault = () => (on.calls === fails ? code : undefined);
        const made = await reserve.fill(going()).catch((error: { code: string }) => error.code);
        const reached = on.calls >= fails;
        on.fault = undefined;
        if (!reached) break;
        if (made !== code) expect(made).toBe(reserve.state === "whole");
        expect(on.openFiles).toBe(0);
        // A sync of the directory that failed leaves the whole file; else it is made another time.
        if (reserve.state !== "whole") expect(await reserve.fill(going())).toBe(true);
        expect(on.list().toSorted()).toEqual([RESERVE_FILE, OTHER]);
        expect(on.bytes(RESERVE_FILE)).toHaveLength(BYTES);
      }
    },
  );

  test("ends where the store closes, and takes back what was begun", async () => {
    for (let steps = 1; steps < 8; steps++) {
      const on = disk();
      const turns = going();
      let step = 0;
      turns.pause = async () => {
        if (++step === steps) throw new Stopped();
      };
      const outcome = await reserveOn(on)
        .fill(turns)
        .catch((error: unknown) => error);
      if (step < steps) expect(outcome).toBe(true);
      else {
        expect(outcome).toBeInstanceOf(Stopped);
        expect([on.list(), on.openFiles]).toEqual([[OTHER], 0]);
      }
    }
  });
});

describe("at a start", () => {
  test("it is kept where its size is right", async () => {
    const on = disk();
    await reserveOn(on).fill(going());
    const { calls } = on;
    expect(reserveOn(on).state).toBe("whole");
    expect(on.calls).toBe(calls);
  });

  test("one of another size is removed, and so is one that is not wanted", async () => {
    const on = disk();
    await reserveOn(on).fill(going());
    expect(reserveOn(on, BYTES + 1).state).toBe("absent");
    expect(on.list()).toEqual([OTHER]);
    await reserveOn(on).fill(going());
    expect(openReserve({ disk: on, bytes: 0, random: bytesOf })).toBeUndefined();
    expect(on.list()).toEqual([OTHER]);
  });

  test("one that was given up is still given up", async () => {
    const on = disk();
    const reserve = reserveOn(on);
    await reserve.fill(going());
    await reserve.giveUp();
    for (const after of [on.fork(), on.afterPowerCut(random(1)), on.afterPowerCut(random(2))]) {
      const again = reserveOn(after);
      expect(again.state).toBe("given up");
      expect(await again.fill(going())).toBe(true);
      expect(again.state).toBe("whole");
    }
  });
});

describe("giving it up", () => {
  test("gives back all of its room, once", async () => {
    const on = disk(10 + MAKING);
    const reserve = reserveOn(on);
    await reserve.fill(going());
    expect(await reserve.giveUp()).toBe(true);
    expect([reserve.state, on.room()]).toEqual(["given up", MAKING]);
    expect(await reserve.giveUp()).toBe(false);
    expect(await giveUpReserve(on)).toBe(false);
    expect(on.openFiles).toBe(0);
  });

  test("while it is made, at any step, ends that and gives back what it had", async () => {
    const outcomes = new Set<string>();
    for (let after = 1; after < 40; after++) {
      const on = disk(10 + MAKING);
      const reserve = reserveOn(on);
      const filling = reserve.fill(going());
      while (on.calls < after && reserve.state === "absent") {
        await new Promise((resolve) => setImmediate(resolve));
      }
      const freed = await reserve.giveUp();
      const made = await filling;
      outcomes.add(`${reserve.state}, freed ${freed}, made ${made}`);
      expect([on.room(), on.openFiles]).toEqual([MAKING, 0]);
      expect(on.list()).not.toContain(`${RESERVE_FILE}.tmp`);
    }
    expect([...outcomes].toSorted()).toEqual([
      "absent, freed true, made false",
      "given up, freed true, made false",
    ]);
  });

  test("helps who finds no room, once, and no other error", async () => {
    const on = disk();
    await reserveOn(on).fill(going());
    const failing = (...codes: (string | undefined)[]) => {
      let calls = 0;
      return withReserve(on, async () => {
        const code = codes[calls++];
        if (code !== undefined) throw Object.assign(new Error(code), { code });
        return calls;
      }).catch((error: Error) => error.message);
    };
    expect(await failing("EIO")).toBe("EIO");
    expect(on.bytes(RESERVE_FILE)).toHaveLength(BYTES);
    expect(await failing("EDQUOT", undefined)).toBe(2);
    expect(on.bytes(RESERVE_FILE)).toHaveLength(0);
    expect(await failing("ENOSPC", undefined)).toBe("ENOSPC");
  });
});
