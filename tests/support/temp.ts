/** Temporary folders, the modes of files, and ports for servers that restart. */
import { randomInt } from "node:crypto";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * The ports of servers are below those of outgoing connections (from 32768 on Linux). Otherwise a client that connects
 * to a stopped server could get its port, connect to itself, and block the port.
 */
const [LOWEST_SERVER_PORT, SERVER_PORTS] = [20_000, 6_000];

/** A folder that is removed at the end of the scope. */
export interface TempFolder extends AsyncDisposable {
  readonly path: string;
  join(...parts: readonly string[]): string;
}

export async function createTempFolder(prefix = "tlsboot-"): Promise<TempFolder> {
  return toTempFolder(await mkdtemp(join(tmpdir(), prefix)));
}

/** Wraps a folder that exists already. */
export function toTempFolder(path: string): TempFolder {
  return {
    path,
    join: (...parts) => join(path, ...parts),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 10 }),
  };
}

/** Reads the permissions of a file in octal, such as `600`. */
export async function readMode(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

/**
 * Finds a port for a server that restarts or cannot report its port. No client and no other caller gets this port. To
 * exclude callers in other processes, this process listens on a second port as long as it runs.
 */
export async function findServerPort(): Promise<number> {
  for (let attempt = 0; attempt < SERVER_PORTS; attempt++) {
    const port = LOWEST_SERVER_PORT + randomInt(SERVER_PORTS);
    if (await listenOn(port + SERVER_PORTS) === undefined) continue;
    const server = await listenOn(port);
    if (server === undefined) continue;
    await new Promise<void>((resolve) => server.close(() => resolve()));
    return port;
  }
  throw new Error(`no port is free above ${LOWEST_SERVER_PORT}`);
}

/** Listens on a port of the loopback interface without keeping the process alive; undefined if the port is taken. */
function listenOn(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server.unref()));
  });
}
