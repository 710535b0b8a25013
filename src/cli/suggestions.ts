/** The command that somebody may have meant who typed another word. */

import { nearest } from "../text.ts";
import { COMMANDS } from "./commands.ts";

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
