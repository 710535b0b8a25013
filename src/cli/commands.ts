/**
 * The subcommands by name. Each is loaded when it is used, so that none pays for another at start.
 */

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
