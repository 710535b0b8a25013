/** `kv health`: is the server ready? For health checks of containers and for scripts that wait. */

import { defineCommand } from "citty";
import { PATHS } from "../protocol.ts";
import { decodeUtf8 } from "../text.ts";
import type { CommandHelp } from "./command.ts";
import { connectionEnvironment, connectionFlags, transportByFlags } from "./connection.ts";
import { FAILED } from "./exit-codes.ts";
import { Failure } from "./failure.ts";
import { remark } from "./output.ts";
import { KvError } from "../errors.ts";

export const command = defineCommand({
  args: connectionFlags,
  async run({ args }) {
    const transport = transportByFlags(args);
    const { http } = transport.url;
    try {
      const { bytes } = await transport.request({ method: "GET", path: PATHS.ready });
      if (decodeUtf8(bytes)?.trim() === "ok") return remark(`${http} is ready`);
    } catch (error) {
      if (error instanceof KvError) throw new Failure(error.message, FAILED);
      throw error;
    }
    throw new Failure(`the server at ${http} does not answer like kv`, FAILED);
  },
});

export const help: CommandHelp = {
  usage: ["health [--url URL] [--timeout TIME]"],
  environment: connectionEnvironment,
  notes: ["Prints nothing on stdout; why a server is not ready stands on stderr."],
  examples: [
    ["kv health", "exit code 0 when the server is ready to serve, 1 when not"],
    ["until kv health 2>/dev/null; do sleep 1; done", "wait for a server to come up"],
  ],
};
