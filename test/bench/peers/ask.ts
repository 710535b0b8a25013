/** One question to a server that speaks in lines. */

/** The first line that a server says to a command, which may be its greeting. */
export async function ask(port: number, command: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_, chunk) {
        text += chunk.toString();
        const end = text.indexOf("\r\n");
        if (end !== -1) resolve(text.slice(0, end));
      },
      close: () => reject(new Error("closed")),
      error: (_, error) => reject(error),
    },
  });
  socket.write(`${command}\r\n`);
  try {
    return await promise;
  } finally {
    socket.end();
  }
}
