/**
 * Notices that nobody reads stdout any more while there is nothing to write: `kv watch | head -1`
 * should end with head, not at the next event. Only the system call poll(2) can tell.
 */

import { fstatSync } from "node:fs";
import { ClosedOutput } from "./failure.ts";

const LOOK_MS = 250;
const POLLERR = 8;
const POLLNVAL = 32;

/** Rejects with `ClosedOutput` once the reader of stdout is gone; else it never settles. */
export async function readerGone(): Promise<never> {
  if ((await poll()) === undefined) return new Promise(() => {});
  while (!(await isReaderGone())) await Bun.sleep(LOOK_MS);
  throw new ClosedOutput();
}

/** Is the reader of stdout gone? False also where nobody can tell. */
export async function isReaderGone(): Promise<boolean> {
  const isGone = await poll();
  return isGone?.() === true;
}

// --- internal ---

let loading: Promise<(() => boolean) | undefined> | undefined;

/** A file or a terminal has no reader that goes away, and without poll the next write tells. */
function poll(): Promise<(() => boolean) | undefined> {
  return (loading ??= isPipe() ? loadPoll() : Promise.resolve(undefined));
}

function isPipe(): boolean {
  try {
    const stat = fstatSync(1);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}

/** Where the C library is: glibc, musl, macOS. */
const LIBRARIES = [
  "libc.so.6",
  `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`,
  "libSystem.B.dylib",
];

async function loadPoll(): Promise<(() => boolean) | undefined> {
  const { dlopen, ptr } = await import("bun:ffi");
  for (const library of LIBRARIES) {
    try {
      const { symbols } = dlopen(library, {
        poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
      });
      // struct pollfd { int fd; short events; short revents; } for stdout, with no events asked
      // for.
      const entry = new Int16Array(4);
      new Int32Array(entry.buffer)[0] = 1;
      return () => {
        symbols.poll(ptr(entry), 1, 0);
        return (entry[3]! & (POLLERR | POLLNVAL)) !== 0;
      };
    } catch {
      // Not this one.
    }
  }
  return undefined;
}
