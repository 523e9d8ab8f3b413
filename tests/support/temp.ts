/** Temporary folders, and ports for servers that restart. */
import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Below the ports that systems give to outgoing connections (32768 on Linux): a client that asks a server which is down
 * could be given the very port, be connected to itself, and keep the server from it.
 */
const [LOWEST_SERVER_PORT, SERVER_PORTS] = [20_000, 10_000];

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
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }),
  };
}

const given = new Set<number>();

/**
 * Finds a port for a server that restarts, or that cannot report which port it was given: no client is given this port
 * meanwhile, and no second caller.
 */
export async function findServerPort(): Promise<number> {
  while (true) {
    const port = LOWEST_SERVER_PORT + randomInt(SERVER_PORTS);
    if (given.has(port) || !await isFree(port)) continue;
    given.add(port);
    return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const isListening = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (isListening) await new Promise<void>((resolve) => server.close(() => resolve()));
  return isListening;
}
