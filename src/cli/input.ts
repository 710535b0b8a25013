/** Reads values from stdin and from files: bytes, exactly, and no more than a store takes. */

import { close, open, read } from "node:fs";
import { promisify } from "node:util";
import { KvError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { decodeUtf8 } from "../text.ts";
import { fileFailure } from "./file-failure.ts";
import { orAborted } from "./interruptible.ts";
import { isTerminal, remark, showText } from "./output.ts";

/** All of stdin. @throws `too_large` past `bytesMax`, without reading on. */
export async function readStandardInput(bytesMax = LIMITS.valueBytesMax): Promise<Uint8Array> {
  if (isTerminal(0)) remark("reading from the terminal; end with Ctrl-D on a line of its own");
  return readAll("stdin", 0, bytesMax);
}

/** A line that is typed at the terminal; `undefined` when its end comes first. */
export async function readLine(): Promise<string | undefined> {
  let line = "";
  for (;;) {
    const chunk = await readChunk("stdin", 0);
    if (chunk.length === 0) return line === "" ? undefined : line;
    line += decodeUtf8(chunk) ?? "\ufffd";
    const end = line.indexOf("\n");
    if (end !== -1) return line.slice(0, end);
  }
}

/** All of a file. @throws `Failure` when it cannot be read, `too_large` past `bytesMax`. */
export async function readFileArgument(
  path: string,
  bytesMax = LIMITS.valueBytesMax,
): Promise<Uint8Array> {
  const name = showText(path);
  let descriptor: number;
  try {
    descriptor = await promisify(open)(path, "r");
  } catch (error) {
    throw unreadable(name, error);
  }
  // Never closed: the process ends after its one command.
  return readAll(name, descriptor, bytesMax);
}

/**
 * The bytes of a file, or of stdin for `-`, in pieces as they come, until `signal` aborts. @throws
 * `Failure` when it cannot be read.
 */
export async function* readPieces(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const name = path === "-" ? "stdin" : showText(path);
  let descriptor = 0;
  try {
    if (path !== "-") descriptor = await promisify(open)(path, "r");
  } catch (error) {
    throw unreadable(name, error);
  }
  for (;;) {
    const chunk = await orAborted(readChunk(name, descriptor), signal);
    if (chunk.length === 0) break;
    yield chunk;
  }
  if (descriptor !== 0) await promisify(close)(descriptor);
}

// --- internal ---

const CHUNK_BYTES = 256 * 1024;
/**
 * Milliseconds between two tries at a descriptor that was made non-blocking by somebody who shares
 * it.
 */
const BUSY_WAIT_MS = 5;

/**
 * Plain reads: the platform's streams cannot read every kind of file (devices are not pollable).
 */
async function readAll(name: string, descriptor: number, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const chunk = await readChunk(name, descriptor);
    if (chunk.length === 0) return Buffer.concat(chunks);
    bytes += chunk.length;
    if (bytes > bytesMax) {
      throw new KvError("too_large", `${name} has more than ${bytesMax} bytes, the most allowed`, {
        limit: bytesMax,
      });
    }
    chunks.push(chunk);
  }
}

async function readChunk(name: string, descriptor: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (;;) {
    try {
      const { bytesRead } = await readAsync(descriptor, buffer, 0, buffer.length, null);
      return buffer.subarray(0, bytesRead);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw unreadable(name, error);
      await Bun.sleep(BUSY_WAIT_MS);
    }
  }
}

const readAsync = promisify(read);

function unreadable(name: string, error: unknown): unknown {
  return fileFailure(error, `cannot read ${name}`);
}
