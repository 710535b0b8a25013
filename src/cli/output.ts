/**
 * Writing to stdout and stderr. Straight to the file descriptors: `process.stdout` costs 10 ms at
 * start and prints a stack trace when the reader of a pipe is gone. `node:fs` is loaded only where
 * it is needed: that takes a fifth of the time of a `kv get` without it.
 */

import { encodeUtf8 } from "../text.ts";
import { ClosedOutput, Failure } from "./failure.ts";

const STDOUT = 1;
const STDERR = 2;

/** Writes all of it to stdout. @throws `ClosedOutput` when nobody reads any more. */
export async function writeOut(data: string | Uint8Array): Promise<void> {
  const bytes = typeof data === "string" ? encodeUtf8(data) : data;
  if (bytes.length > ATOMIC_BYTES_MAX || isTerminal(STDOUT)) return writeAll(STDOUT, bytes);
  // Nothing to write would be taken as a wish to cut the file.
  if (bytes.length === 0) return;
  try {
    await Bun.write(Bun.stdout, bytes);
  } catch (error) {
    throw writeFailure(error);
  }
}

/** As `writeOut`, without holding up the event loop while a slow reader makes the write wait. */
export async function writeOutLater(data: string | Uint8Array): Promise<void> {
  const bytes = typeof data === "string" ? encodeUtf8(data) : data;
  let written = 0;
  while (written < bytes.length) {
    try {
      written += await writeOnce(bytes.subarray(written));
    } catch (error) {
      if (!isBusy(error)) throw writeFailure(error);
      await Bun.sleep(BUSY_WAIT_MS);
    }
  }
}

/**
 * Writes a line of text to stderr, control characters escaped; `color` is an ANSI colour's number.
 */
export function writeErrorLine(line: string, color?: number): void {
  const text = escapeControls(line);
  writeError(`${color === undefined ? text : paint(text, color)}\n`);
}

/** As `writeErrorLine`, without ending the line: a question is answered on it. */
export function writeErrorText(text: string): void {
  writeError(escapeControls(text));
}

/** Puts a text in the place of the line that the cursor of stderr's terminal is in. */
export function rewriteErrorLine(text: string): void {
  writeError(`\r${escapeControls(text)}\u001b[K`);
}

/** Takes away the line that the cursor of stderr's terminal is in. */
export function clearErrorLine(): void {
  writeError("\r\u001b[K");
}

/** Writes a remark for a person to stderr; nothing when stderr is no terminal. */
export function remark(line: string): void {
  if (isTerminal(STDERR)) writeErrorLine(line);
}

/** Is the file descriptor (0 = stdin, 1 = stdout, 2 = stderr) a terminal? */
export function isTerminal(descriptor: 0 | 1 | 2): boolean {
  return terminals.isTTY(descriptor);
}

/**
 * Was stdout closed when the process began? The runtime has put /dev/null in its place then, and
 * all that is written vanishes. False also where nobody can tell.
 */
export function isStdoutClosed(): boolean {
  try {
    const info = fs().readFileSync(`/proc/self/fdinfo/${STDOUT}`, "latin1");
    const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? "0", 8);
    // What a process is given stays open when a program is executed, or it would not be there. What
    // the runtime opens does not.
    return (flags & O_CLOEXEC) !== 0;
  } catch {
    return false;
  }
}

/** May colours be used there? */
export function hasColors(descriptor: 1 | 2): boolean {
  if (process.env["NO_COLOR"] || process.env["TERM"] === "dumb") return false;
  return isTerminal(descriptor);
}

/** The text in an ANSI colour. */
export function paint(text: string, color: number): string {
  return `\u001b[${color}m${text}\u001b[39m`;
}

/**
 * The text with each control character as an escape (`\n`, `\u001b`), so that no key or value can
 * move the cursor, change colours or reorder what is shown. A backslash stays as it is.
 */
export function escapeControls(text: string): string {
  return text.replace(UNSAFE, (character) => NAMED[character] ?? unicodeEscape(character));
}

/** A key or a path as it stands in a message: quoted where that is needed to read it. */
export function showText(text: string): string {
  const plain = escapeControls(text) === text && /^[^\s"']+$/.test(text);
  return plain ? text : jsonLine(text).trimEnd();
}

/** JSON on one line with a newline behind it; what a terminal would act on stands escaped. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value).replace(UNSAFE, unicodeEscape)}\n`;
}

// --- internal ---

/** Of Linux; what Node knows of has it not. */
const O_CLOEXEC = 0o2000000;

/**
 * What a pipe takes whole or not at all, also one that does not block: PIPE_BUF. The runtime would
 * begin anew behind a part of a larger write.
 */
const ATOMIC_BYTES_MAX = process.platform === "linux" ? 4_096 : 512;

/** What node:tty itself asks; node:tty would load half of Node's streams for it. */
const terminals = (process as unknown as Bindings).binding("tty_wrap");

interface Bindings {
  binding(name: "tty_wrap"): { isTTY(descriptor: number): boolean };
}

/** Milliseconds between two tries at a pipe that is full and does not block. */
const BUSY_WAIT_MS = 5;

/**
 * Control characters (C0, DEL, C1), line and paragraph separators, and marks that change direction.
 */
const UNSAFE = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

const NAMED: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function fs(): typeof import("node:fs") {
  return process.getBuiltinModule("node:fs");
}

function writeError(text: string): void {
  try {
    writeAll(STDERR, encodeUtf8(text));
  } catch {
    // Nobody reads stderr: there is no other place to say so.
  }
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.length) {
    try {
      written += fs().writeSync(descriptor, bytes, written);
    } catch (error) {
      if (!isBusy(error)) throw writeFailure(error);
      Bun.sleepSync(BUSY_WAIT_MS);
    }
  }
}

function writeOnce(bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    fs().write(STDOUT, bytes, 0, bytes.length, null, (error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}

/** The pipe is full and was made non-blocking by somebody who shares it. */
function isBusy(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "EAGAIN" || code === "EINTR";
}

function writeFailure(error: unknown): Error {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === "EPIPE" ? new ClosedOutput() : new Failure(`cannot write to stdout: ${message}`);
}
