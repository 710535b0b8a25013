/**
 * The subcommands by name. Each is loaded when it is used, so that none pays for another at start.
 */

import { nearest } from "../text.ts";
import type { CommandModule } from "./command.ts";

interface Listed {
  /** One line for the overview. */
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

/** No prototype: `kv toString` is an unknown command like any other. */
export const COMMANDS: Readonly<Record<string, Listed>> = Object.assign(
  Object.create(null) as object,
  {
    serve: { summary: "run the server", load: () => import("./serve.ts") },
    get: { summary: "print the value of a key", load: () => import("./get.ts") },
    put: { summary: "set a key", load: () => import("./put.ts") },
    del: { summary: "delete keys (also: rm)", load: () => import("./del.ts") },
    ls: { summary: "list keys in order", load: () => import("./ls.ts") },
    watch: { summary: "follow changes as they happen", load: () => import("./watch.ts") },
    wait: {
      summary: "wait until a key is there, has a value, or changes",
      load: () => import("./wait.ts"),
    },
    incr: {
      summary: "add to an integer, and print the sum",
      load: () => import("./incr.ts"),
    },
    touch: { summary: "give a key another time to live", load: () => import("./touch.ts") },
    history: { summary: "show the changes of a key", load: () => import("./history.ts") },
    txn: { summary: "run a transaction from a JSON file", load: () => import("./txn.ts") },
    compact: { summary: "forget old history", load: () => import("./compact.ts") },
    backup: {
      summary: "save a consistent copy of the store",
      load: () => import("./backup.ts"),
    },
    restore: {
      summary: "make a new store of backups",
      load: () => import("./restore.ts"),
    },
    check: {
      summary: "read a data directory to its last byte, or repair it",
      load: () => import("./check.ts"),
    },
    status: {
      summary: "show what the server says about itself",
      load: () => import("./status.ts"),
    },
    bench: {
      summary: "measure what a running server can do",
      load: () => import("./bench.ts"),
    },
    health: {
      summary: "exit 0 when the server is ready, else 1",
      load: () => import("./health.ts"),
    },
  },
);

/** The command that a name or an alias stands for. */
export function findCommand(name: string): string | undefined {
  if (name in COMMANDS) return name;
  return name === "rm" ? "del" : undefined;
}

/** The command that somebody who typed `name` most likely meant. */
export function suggestCommand(name: string): string | undefined {
  const word = name.toLowerCase();
  return WORDS.get(word) ?? nearest(word.slice(0, 64), [...Object.keys(COMMANDS), "rm", "help"]);
}

// --- internal ---

/** What other stores and tools call the same thing. */
const WORDS = new Map([
  ["set", "put"],
  ["add", "put"],
  ["write", "put"],
  ["read", "get"],
  ["cat", "get"],
  ["save", "put"],
  ["cas", "put"],
  ["exists", "get"],
  ["delete", "del"],
  ["remove", "del"],
  ["unset", "del"],
  ["clear", "del"],
  ["purge", "del"],
  ["flush", "del"],
  ["list", "ls"],
  ["keys", "ls"],
  ["scan", "ls"],
  ["range", "ls"],
  ["dir", "ls"],
  ["count", "ls"],
  ["start", "serve"],
  ["server", "serve"],
  ["run", "serve"],
  ["subscribe", "watch"],
  ["follow", "watch"],
  ["tail", "watch"],
  ["await", "wait"],
  ["until", "wait"],
  ["increment", "incr"],
  ["inc", "incr"],
  ["incrby", "incr"],
  ["decr", "incr"],
  ["decrement", "incr"],
  ["counter", "incr"],
  ["expire", "touch"],
  ["persist", "touch"],
  ["renew", "touch"],
  ["ttl", "touch"],
  ["log", "history"],
  ["versions", "history"],
  ["revisions", "history"],
  ["compaction", "compact"],
  ["forget", "compact"],
  ["transaction", "txn"],
  ["multi", "txn"],
  ["batch", "txn"],
  ["dump", "backup"],
  ["export", "backup"],
  ["snapshot", "backup"],
  ["verify", "check"],
  ["fsck", "check"],
  ["repair", "check"],
  ["import", "restore"],
  ["load", "restore"],
  ["info", "status"],
  ["ping", "health"],
  ["benchmark", "bench"],
  ["perf", "bench"],
  ["load-test", "bench"],
  ["stress", "bench"],
  ["version", "--version"],
]);
