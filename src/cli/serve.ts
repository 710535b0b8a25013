/** `kv serve`: opens the store, runs the server over it, and stops both in order. */

import { defineCommand } from "citty";
import type { RunningServer } from "../http/server.ts";
import type { Store } from "../kv.ts";
import type { CommandHelp } from "./command.ts";
import { checkDirectory, isNew, serveFailure } from "./data-directory.ts";
import { FAILED } from "./exit-codes.ts";
import { log } from "./log.ts";
import { openFilesWarning } from "./open-files.ts";
import { showText } from "./output.ts";
import {
  isLoopback,
  parseServeOptions,
  serveEnvironment,
  serveFlags,
  type ServeOptions,
} from "./serve-options.ts";
import { Signals, signalExitCode } from "./signals.ts";
import { durabilityWarning } from "./storage-options.ts";
import { VERSION } from "../version.ts";

export const command = defineCommand({
  args: serveFlags,
  async run({ args }) {
    const options = parseServeOptions(args);
    try {
      return await serve(options, new Signals());
    } catch (error) {
      throw serveFailure(error, options.directory);
    }
  },
});

export const help: CommandHelp = {
  usage: ["serve [FLAGS]"],
  environment: serveEnvironment,
  notes: [
    "Says on stderr where it listens, where the data is and at which revision. SIGTERM and SIGINT",
    "finish what is in flight, end the watches and close the store (exit code 0); a second signal",
    "ends the process at once. A success answer to a write means that it is on disk, unless",
    "--durability says otherwise.",
    "",
    "History is what changed before: reads at older revisions, kv history, and watches that resume.",
    "What is older than --history, or beyond --history-bytes of log, is forgotten by itself, and",
    "its disk space comes back. What is there now is never forgotten. --history all keeps everything.",
  ],
  examples: [
    ["kv serve", "listen on 127.0.0.1:5000, data in ./kv-data"],
    ["kv serve --port 0 --data /tmp/try", "any free port; the start line tells which"],
    ["KV_HOST=0.0.0.0 KV_DATA=/data kv serve", "the same by environment, as in a container"],
    ["kv serve --history 7d --history-bytes 20GiB", "changes of a week can be read and resumed"],
    ["kv serve --durability interval:100", "faster writes; a power cut may lose 100 ms of them"],
    ["kv serve --allowed-origins https://app.example.com", "let the pages of one site in"],
  ],
};

// --- internal ---

/**
 * Milliseconds for the last answers after the store has failed: "it is unknown what became of it".
 */
const LAST_ANSWERS_MS = 1_000;

async function serve(options: ServeOptions, signals: Signals): Promise<number> {
  const { directory } = options;
  const failed = Promise.withResolvers<unknown>();
  checkDirectory(directory);
  if (isNew(directory)) await checkOptions(options);
  const opening = openStore(options, failed.resolve);
  const store = await Promise.race([opening, signals.first]);
  // Recovery can be broken off at any point: the next start does it again.
  if (typeof store === "string") return signalExitCode(store);
  const server = await listen(options, store);
  announce(options, server, (await store.status()).revision);
  const end = await Promise.race([
    signals.first.then((signal) => ({ signal })),
    failed.promise.then((error) => ({ error })),
  ]);
  if ("error" in end) return giveUp(server, end.error);
  log().info(`${end.signal}: finishing what is in flight`);
  return Promise.race([
    stop(server, store),
    signals.second.then(signalExitCode),
    failed.promise.then((error) => giveUp(server, error)),
  ]);
}

/** A start that cannot succeed must not leave a new store behind. */
async function checkOptions(options: ServeOptions): Promise<void> {
  const { checkStart } = await import("../http/server.ts");
  await checkStart(options);
}

async function openStore(
  { directory, storage }: ServeOptions,
  onFatal: (error: unknown) => void,
): Promise<Store> {
  const { openLog } = await import("../log/engine.ts");
  return openLog({ ...storage, directory, onFatal, onNotice: (notice) => log().info(notice) });
}

async function listen(options: ServeOptions, store: Store): Promise<RunningServer> {
  const { startServer } = await import("../http/server.ts");
  const { host, port, allowedHosts, allowedOrigins } = options;
  try {
    const onError = (error: unknown): void => log().error(messageOf(error));
    return startServer({ store, host, port, allowedHosts, allowedOrigins, onError });
  } catch (error) {
    await store.close();
    throw error;
  }
}

function announce(options: ServeOptions, server: RunningServer, revision: number): void {
  const { host, directory, storage } = options;
  const data = showText(directory);
  log().info(`kv ${VERSION} serves ${server.url}, data in ${data}, revision ${revision}`);
  const warnings = [durabilityWarning(storage.durability), openFilesWarning()];
  for (const warning of warnings) if (warning !== undefined) log().warn(warning);
  if (isLoopback(host)) return;
  log().warn(
    `other machines can reach ${host} port ${server.port}, and whoever reaches it can read and ` +
      "change everything; let only trusted ones through, or listen on 127.0.0.1",
  );
}

async function stop(server: RunningServer, store: Store): Promise<number> {
  await server.stop();
  const { revision } = await store.status();
  await store.close();
  log().info(`stopped at revision ${revision}`);
  return 0;
}

/**
 * The store cannot be trusted any more. Those who wait are told; then a new start has to recover.
 */
async function giveUp(server: RunningServer, error: unknown): Promise<number> {
  log().fatal(`the store failed and kv ends: ${messageOf(error)}`);
  await Promise.race([server.stop(), Bun.sleep(LAST_ANSWERS_MS)]);
  return FAILED;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
