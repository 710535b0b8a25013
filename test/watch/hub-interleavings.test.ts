/** The hand-over from the state and from the past to live, in every order of a few steps. */

import { expect, test } from "bun:test";
import { Hub } from "../../src/watch/hub.ts";
import { checkWatchers } from "../guarantees/checker.ts";
import type { WatchBegin, WatchFilter } from "../guarantees/record.ts";
import { Truth } from "../guarantees/truth.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";
import { changesBetween, del, put, write } from "../support/stores.ts";
import { Choices, HeldAnswers, runThreads, type Thread } from "./interleavings.ts";
import { Recording, SimulatedSocket } from "./simulated-readers.ts";

const ALL: WatchFilter = { ranges: {}, prev: false, keys: false, latest: false };
const UNSENT_BYTES = 2 * 1024 * 1024;

interface World {
  readonly store: ModelStore;
  readonly truth: Truth;
  /** The connection of the first watch; each other one has its own. */
  readonly socket: SimulatedSocket;
  watch(filter: WatchFilter, begin: WatchBegin): Promise<void>;
}

interface Scenario {
  readonly name: string;
  /** Commits before anything else, each of another key. */
  readonly before: number;
  readonly threads: (world: World) => Thread[];
}

function watching(world: World, begin: WatchBegin, filter: Partial<WatchFilter> = {}): Thread {
  return [() => void world.watch({ ...ALL, ...filter }, begin)];
}

function writing({ store }: World, count: number): Thread {
  const steps = [() => write(store, put("a0"), put("b")), () => write(store, del("a0"), put("c"))];
  return steps.slice(0, count);
}

function compacting(world: World): Thread {
  return [
    async () => {
      await remember(world);
      const { revision } = world.store.status();
      const now = performance.now();
      world.truth.compactions.push({ revision, sent: now, answered: now });
      await world.store.compact(revision);
    },
  ];
}

function stalling({ socket }: World): Thread {
  return [
    () => {
      socket.unsent = UNSENT_BYTES;
      socket.session.sent();
    },
    () => {
      socket.unsent = 0;
      socket.session.drained();
    },
  ];
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "a state and two writes",
    before: 2,
    threads: (world) => [watching(world, { initial: true }), writing(world, 2)],
  },
  {
    name: "a state, two writes and a compaction",
    before: 2,
    threads: (world) => [watching(world, { initial: true }), writing(world, 2), compacting(world)],
  },
  {
    name: "a state, two writes and a stall",
    before: 1,
    threads: (world) => [watching(world, { initial: true }), writing(world, 2), stalling(world)],
  },
  {
    name: "the past and two writes",
    before: 2,
    threads: (world) => [watching(world, { from: 2 }), writing(world, 2)],
  },
  {
    name: "the past, two writes and a compaction, with a way back",
    before: 2,
    threads: (world) => [
      watching(world, { from: 2, initial: true }),
      writing(world, 2),
      compacting(world),
    ],
  },
  {
    name: "the past, two writes and a compaction, with no way back",
    before: 2,
    threads: (world) => [
      watching(world, { from: 2 }, { prev: true }),
      writing(world, 2),
      compacting(world),
    ],
  },
  {
    name: "the past, two writes and a stall",
    before: 2,
    threads: (world) => [watching(world, { from: 2 }), writing(world, 2), stalling(world)],
  },
  {
    name: "the newest, two writes and a stall",
    before: 1,
    threads: (world) => [
      watching(world, { from: 1 }, { latest: true }),
      writing(world, 2),
      stalling(world),
    ],
  },
  {
    name: "two watches of the same, and a write",
    before: 2,
    threads: (world) => [
      watching(world, {}, { prev: true }),
      watching(world, { from: 1 }, { prev: true }),
      writing(world, 1),
    ],
  },
];

for (const scenario of SCENARIOS) {
  test(`${scenario.name}: nothing is lost, doubled or torn in any order`, async () => {
    const choices = new Choices();
    let ways = 0;
    do {
      try {
        await play(scenario, choices);
      } catch (error) {
        throw new Error(`in way ${choices.toString()}`, { cause: error });
      }
      ways++;
    } while (choices.advance());
    expect(ways).toBeGreaterThan(20);
  }, 20_000);
}

async function play(scenario: Scenario, choices: Choices): Promise<void> {
  const store = openModel({ chunkCommitsMax: 1 });
  const truth = new Truth(store.status().store);
  for (let count = 0; count < scenario.before; count++) await write(store, put(`a${count}`));
  const answers = new HeldAnswers();
  const hub = new Hub({ store: answers.over(store), progressMs: 1_000_000 });
  const failures: unknown[] = [];
  const connect = () => new SimulatedSocket(hub, (error) => failures.push(error));
  const sockets = [connect()];
  const socket = sockets[0]!;
  hub.publishThrough({
    publish(topic, frame) {
      for (const one of sockets) if (one.topics.has(topic)) one.take(frame);
    },
  });
  const recordings: Recording[] = [];
  const watch = async (filter: WatchFilter, begin: WatchBegin): Promise<void> => {
    const recording = new Recording("ws", filter, begin, 0);
    if (recordings.push(recording) > sockets.length) sockets.push(connect());
    await beginWatch(sockets[recordings.length - 1]!, recording);
  };
  const world = { store, truth, socket, watch };
  await runThreads(scenario.threads(world), answers, choices);
  await remember(world);
  const { through } = truth;
  const records = recordings.map((one, at) => one.record(`watch ${at}`, through));
  expect(checkWatchers(records, truth, { silenceMsMax: 1_000_000 })).toEqual([]);
  hub.stop();
  if (failures.length > 0) throw failures[0];
}

async function beginWatch(socket: SimulatedSocket, recording: Recording): Promise<void> {
  const { filter, begin } = recording;
  const { ranges, ...shown } = filter;
  const created = (at: { watch: number; revision: number; store: string }): void => {
    socket.open.set(at.watch, recording);
    recording.take({ type: "created", revision: at.revision, store: at.store });
  };
  try {
    await socket.session.watch({ range: ranges, ...shown, ...begin, created });
  } catch (error) {
    const { code, details } = error as { code: "compacted"; details: object };
    recording.refusal = { at: performance.now(), code, ...details };
    recording.end();
  }
}

/** Notes what has happened, before it is forgotten. */
async function remember({ store, truth }: World): Promise<void> {
  const { revision } = store.status();
  truth.add(await changesBetween(store, truth.through + 1, revision), revision);
}
