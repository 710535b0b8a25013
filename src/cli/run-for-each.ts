/**
 * Runs a command for each item of a watch: in order, one at a time. The next item is asked for when
 * the command has ended, so a slow one holds up the watch and loses nothing.
 */

import type { CommandEnd, EventCommand } from "./event-command.ts";
import { ClosedOutput } from "./failure.ts";
import { isTerminal, showText, writeErrorLine } from "./output.ts";
import { isReaderGone, readerGone } from "./reader-gone.ts";
import { signalExitCode, Signals, type Stop } from "./signals.ts";
import type { WatchItem } from "./watch-items.ts";

/**
 * What fails is said on stderr, and the next item's turn comes. Answers the exit code of the first
 * run that failed, or 0, when the items end. A signal goes to the command too, whose end is waited
 * for; a second one kills it. The exit code is that of the signal then.
 * @throws what the items throw; `ClosedOutput` when nobody reads stdout any more.
 */
export async function runForEach(
  items: AsyncIterable<WatchItem>,
  command: EventCommand,
  signals: Signals = new Signals(),
): Promise<number> {
  const runs = new Runs(items, command);
  try {
    const end = await Promise.race([runs.ended, signals.first, readerGone()]);
    if (typeof end === "number") return end;
    runs.stop();
    if (!reachesAll(end)) command.signal(end);
    void signals.second.then(() => command.signal("SIGKILL"));
    return signalExitCode(end);
  } finally {
    runs.stop();
    await runs.current;
  }
}

// --- internal ---

const INTERRUPTED = signalExitCode("SIGINT");
const SIGNAL_LAG_MS = 100;

class Runs {
  /** The exit code of the first run that failed, once there are no more items. */
  readonly ended: Promise<number>;
  /** The run that is under way. */
  current: Promise<CommandEnd> | undefined;
  #stopped = false;

  constructor(items: AsyncIterable<WatchItem>, command: EventCommand) {
    this.ended = this.#runAll(items, command);
  }

  /** No further run is begun. */
  stop(): void {
    this.#stopped = true;
  }

  async #runAll(items: AsyncIterable<WatchItem>, command: EventCommand): Promise<number> {
    let failed = 0;
    for await (const item of items) {
      // That all has been told is no event: who takes each value as it comes would take an empty
      // one.
      if (item.type === "sync") continue;
      if (this.#stopped) break;
      this.current = command.run(item);
      const { code, failure } = await this.current;
      if (failure === undefined) continue;
      // A command that had nobody to write to fails for that, and so would all others.
      if (await isReaderGone()) throw new ClosedOutput();
      // Ctrl-C ended it, and may reach kv a moment later.
      if (code === INTERRUPTED) await Bun.sleep(SIGNAL_LAG_MS);
      if (!this.#stopped) writeErrorLine(`kv watch: ${failure} (${describe(item)})`);
      if (failed === 0) failed = code;
    }
    return failed;
  }
}

function describe(item: WatchItem): string {
  const key = "key" in item ? ` ${showText(item.key)}` : "";
  return `${item.type}${key} at revision ${item.revision}`;
}

/** Ctrl-C at a terminal reaches the command by itself; handed on, it would come twice. */
function reachesAll(signal: Stop): boolean {
  return signal === "SIGINT" && ([0, 1, 2] as const).some(isTerminal);
}
