/** Temporary folders, and ports for servers that restart. */
import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Below the ports that systems give to outgoing connections (32768 on Linux): a client that asks a server which is down
 * could be given the very port, be connected to itself, and keep the server from it.
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

/** A folder that exists already. */
export function toTempFolder(path: string): TempFolder {
  return {
    path,
    join: (...parts) => join(path, ...parts),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 10 }),
  };
}

/**
 * Finds a port for a server that restarts, or that cannot report which port it was given: no client is given this port
 * meanwhile, and no second caller. The process listens on another port for as long as it runs, which excludes callers in
 * other processes too.
 */
export async function findServerPort(): Promise<number> {
  while (true) {
    const port = LOWEST_SERVER_PORT + randomInt(SERVER_PORTS);
    if (await listenOn(port + SERVER_PORTS) === undefined) continue;
    const server = await listenOn(port);
    if (server === undefined) continue;
    await new Promise<void>((resolve) => server.close(() => resolve()));
    return port;
  }
}

/** Listens on a port of the loopback interface without keeping the process alive; undefined if the port is taken. */
function listenOn(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server.unref()));
  });
}
