/**
 * The compiled executable as a server of its own process, for tests that kill it, signal it or look at
 * what it prints. Knows nothing of the server but its command line and its start line.
 */

import { executable } from "../../scripts/build.ts";

export interface ServerProcessOptions {
  /** The data directory. */
  readonly directory: string;
  /** The system picks one when it is left out. */
  readonly port?: number;
  /** Further arguments of `kv serve`. */
  readonly flags?: readonly string[];
  /** Further variables of the environment; those of kv itself are not inherited. */
  readonly environment?: Readonly<Record<string, string>>;
  /** A command that runs the rest of its line as this process, to put before that of kv. */
  readonly through?: readonly string[];
}

export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  readonly url: string;
  readonly port: number;
  /** What it has printed so far, on stdout and on stderr. */
  readonly output: { stdout: string; stderr: string };
  /** The exit code, 128 + the number of the signal where one ended it; all output is in by then. */
  readonly exited: Promise<number>;
  /** Sends a signal (SIGKILL when left out) and waits for the end. */
  kill(signal?: NodeJS.Signals): Promise<number>;
}

/** Starts `./kv serve` and waits until it says where it listens. Throws what it said when it ends before. */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const { directory, port = 0, flags = [], environment, through = [] } = options;
  const child = Bun.spawn(
    [...through, executable, "serve", "--data", directory, "--port", String(port), ...flags],
    {
      env: { ...inheritedEnvironment(), ...environment },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const output = { stdout: "", stderr: "" };
  const started = Promise.withResolvers<string>();
  const collect = async (name: "stdout" | "stderr"): Promise<void> => {
    for await (const text of child[name].pipeThrough(new TextDecoderStream())) {
      output[name] += text;
      // Only a whole line counts: a chunk may end in the middle of the port.
      const url = /(http:\/\/\S+?:\d+).*\n/.exec(output[name])?.[1];
      if (url !== undefined) started.resolve(url);
    }
  };
  const exited = Promise.all([child.exited, collect("stdout"), collect("stderr")]).then(
    ([code]) => code,
  );
  const ended = exited.then((code) => {
    throw new Error(`kv serve ended with ${code}:\n${output.stdout}${output.stderr}`);
  });
  const url = await Promise.race([started.promise, ended]);
  // From here on an end is the business of who waits for `exited`.
  ended.catch(() => undefined);
  const kill = (signal: NodeJS.Signals = "SIGKILL"): Promise<number> => {
    child.kill(signal);
    return exited;
  };
  return {
    pid: child.pid,
    url,
    port: Number(new URL(url).port),
    output,
    exited,
    kill,
    [Symbol.asyncDispose]: async () => void (await kill()),
  };
}

// --- internal ---

/** The environment without kv's own variables, which would change what the server does. */
function inheritedEnvironment(): Record<string, string> {
  const pairs = Object.entries(process.env) as [string, string][];
  return Object.fromEntries(pairs.filter(([name]) => !name.startsWith("KV_")));
}
