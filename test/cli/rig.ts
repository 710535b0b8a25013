/**
 * Runs the compiled executable as a user would, and holds every run to what no run may do: print a stack
 * trace, or a path out of the executable.
 */

import { expect } from "bun:test";
import { executable } from "../../scripts/build.ts";
import { closeEnd, openUnreadPipe } from "./unread-pipe.ts";

/**
 * Milliseconds for a test that starts many processes or moves much, on a machine that may have other work.
 * To be given to each: a default that a shared module sets holds for the first file of a run only.
 */
export const SLOW_TEST_MS = 60_000;

export interface RunOptions {
  /** The server, as `KV_URL`; without one the command gets the default address. */
  readonly url?: string;
  /** Bytes for stdin; empty when left out. */
  readonly input?: string | Uint8Array;
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
}

export interface Ran {
  /** 128 + the number of the signal where one ended it. */
  readonly exitCode: number;
  readonly bytes: Uint8Array;
  /** `bytes` as text. */
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `kv` with these arguments to its end. */
export async function kv(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return run([executable, ...argv], options);
}

/** Runs a line of shell in which `kv` is the executable. */
export async function shell(line: string, options: RunOptions = {}): Promise<Ran> {
  return run(shellCommand(line), options);
}

/** Runs any command to its end. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = Bun.spawn([...command], {
    env: environmentOf(options),
    cwd: options.directory ?? process.cwd(),
    stdin:
      typeof options.input === "string" ? Buffer.from(options.input) : (options.input ?? "ignore"),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [bytes, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).bytes(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const stdout = new TextDecoder().decode(bytes);
  expectNoTrace(stderr);
  return { exitCode, bytes, stdout, stderr };
}

/** A command on a terminal of its own: stdin, stdout and stderr are the same, line ends are CR LF. */
export interface TerminalSession {
  /** What stands on the terminal so far, the echo of what was typed included. */
  readonly output: string;
  readonly exited: Promise<number>;
  type(text: string): void;
  /** Waits until a text stands on the terminal, or until all that stands there is as wanted. */
  until(wanted: string | ((output: string) => boolean)): Promise<void>;
}

/** Starts `kv` on a terminal of its own. */
export function openTerminal(argv: readonly string[], options: RunOptions = {}): TerminalSession {
  return spawnOnTerminal([executable, ...argv], options);
}

/** Runs `kv` on a terminal to its end. */
export function onTerminal(argv: readonly string[], options: RunOptions = {}): Promise<Shown> {
  return ended(openTerminal(argv, options));
}

/** Runs a line of shell on a terminal, as `shell` does without one. */
export function shellOnTerminal(line: string, options: RunOptions = {}): Promise<Shown> {
  return ended(openShellOnTerminal(line, options));
}

/** Starts a line of shell on a terminal. */
export function openShellOnTerminal(line: string, options: RunOptions = {}): TerminalSession {
  return spawnOnTerminal(shellCommand(line), options);
}

export interface Shown {
  readonly exitCode: number;
  /** Everything that stood on the terminal. */
  readonly output: string;
}

async function ended(session: TerminalSession): Promise<Shown> {
  const exitCode = await session.exited;
  return { exitCode, output: session.output };
}

function spawnOnTerminal(command: string[], options: RunOptions): TerminalSession {
  let output = "";
  let changed = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const decoder = new TextDecoder();
  const child = Bun.spawn(command, {
    env: environmentOf(options),
    cwd: options.directory ?? process.cwd(),
    terminal: {
      cols: 100,
      rows: 30,
      data(_, data) {
        output += decoder.decode(data, { stream: true });
        changed.resolve();
        changed = Promise.withResolvers();
      },
      exit: () => closed.resolve(),
    },
  });
  const exited = Promise.all([child.exited, closed.promise]).then(([code]) => {
    child.terminal?.close();
    expectNoTrace(output);
    return code;
  });
  return {
    get output() {
      return output;
    },
    exited,
    type: (text) => void child.terminal!.write(text),
    async until(wanted) {
      const isThere = typeof wanted === "string" ? (all: string) => all.includes(wanted) : wanted;
      while (!isThere(output)) await changed.promise;
    },
  };
}

/** A command that goes on until it is told to end. */
export interface Running {
  /** What it has printed so far. */
  readonly output: { stdout: string; stderr: string };
  /** The exit code; all output is in by then. */
  readonly exited: Promise<number>;
  /** The signal that ended it, after its end; `null` when it exited by itself. */
  endedBy(): NodeJS.Signals | number | null;
  /** The first `count` lines of stdout, as soon as they are there. */
  lines(count: number): Promise<string[]>;
  /** As `lines`, each parsed as JSON. */
  jsonLines(count: number): Promise<Record<string, unknown>[]>;
  /** As `lines`, of stderr. */
  errorLines(count: number): Promise<string[]>;
  kill(signal: NodeJS.Signals): Promise<number>;
  /** Begins to read its stdout, where it was started as `unread`. */
  read(): void;
}

export interface StartOptions extends RunOptions {
  /** Nobody reads its stdout before `read` is called. */
  readonly unread?: boolean;
  /** The command that runs it: the executable and its arguments are added. */
  readonly through?: readonly string[];
}

/** Starts `kv` with these arguments. */
export function start(argv: readonly string[], options: StartOptions = {}): Running {
  const pipe = options.unread === true ? openUnreadPipe() : undefined;
  const child = Bun.spawn([...(options.through ?? []), executable, ...argv], {
    env: environmentOf(options),
    cwd: options.directory ?? process.cwd(),
    stdin: "ignore",
    stdout: pipe?.end ?? "pipe",
    stderr: "pipe",
  });
  closeEnd(pipe);
  const output = { stdout: "", stderr: "" };
  let code: number | undefined;
  let changed = Promise.withResolvers<void>();
  const reading = Promise.withResolvers<void>();
  const collect = async (name: "stdout" | "stderr"): Promise<void> => {
    if (name === "stdout" && pipe !== undefined)
      await Promise.race([reading.promise, child.exited]);
    const piped = child[name] as ReadableStream<Uint8Array<ArrayBuffer>>;
    const bytes = name === "stdout" && pipe !== undefined ? pipe.read() : piped;
    for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
      output[name] += text;
      changed.resolve();
      changed = Promise.withResolvers();
    }
  };
  const exited = Promise.all([child.exited, collect("stdout"), collect("stderr")]).then(
    ([exitCode]) => {
      code = exitCode;
      changed.resolve();
      expectNoTrace(output.stderr);
      return exitCode;
    },
  );
  const linesOf = async (name: "stdout" | "stderr", count: number): Promise<string[]> => {
    for (;;) {
      const lines = output[name].split("\n").slice(0, -1);
      if (lines.length >= count) return lines.slice(0, count);
      if (code !== undefined) {
        throw new Error(`kv ended with ${code}:\n${output.stdout}${output.stderr}`);
      }
      await changed.promise;
    }
  };
  return {
    output,
    exited,
    endedBy: () => child.signalCode,
    lines: (count) => linesOf("stdout", count),
    jsonLines: async (count) => (await linesOf("stdout", count)).map((line) => JSON.parse(line)),
    errorLines: (count) => linesOf("stderr", count),
    kill(signal) {
      child.kill(signal);
      return exited;
    },
    read: reading.resolve,
  };
}

/** The environment of a run: none of kv's variables but those given, and no colours by accident. */
export function environmentOf(options: RunOptions): Record<string, string> {
  const inherited = Object.entries(process.env) as [string, string][];
  const own = inherited.filter(([name]) => !/^(KV_.*|NO_COLOR|FORCE_COLOR)$/.test(name));
  return {
    ...Object.fromEntries(own),
    TERM: "xterm-256color",
    ...(options.url === undefined ? undefined : { KV_URL: options.url }),
    ...options.environment,
  };
}

/** Fails unless the output could come from a program that never shows where it broke. */
export function expectNoTrace(output: string): void {
  expect(output).not.toMatch(/^\s+at .+[:(]/m);
  expect(output).not.toMatch(/\$bunfs|node_modules|\.ts:\d+|unexpected error|Bun v\d/);
}

/** The usual shape of a failure: nothing on stdout, one line on stderr, an exit code. */
export function expectFailure(ran: Ran, exitCode: number, message: RegExp | string): void {
  expect(ran.stdout).toBe("");
  if (typeof message === "string") expect(ran.stderr).toContain(message);
  else expect(ran.stderr).toMatch(message);
  expect(ran.stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(ran.exitCode).toBe(exitCode);
}

function shellCommand(line: string): string[] {
  return ["bash", "-c", `kv() { "${executable}" "$@"; }\n${line}`];
}
