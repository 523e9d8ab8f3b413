/** The dependencies of a server over real sockets that keeps nothing: objects in memory, a free port on loopback. */
import type { Clock } from "../../core/ports.ts";
import type { ServerOptions } from "../../server/server.ts";
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import { createMemoryLogger } from "./memory_logger.ts";
import { createSeededRandom } from "./seeded_random.ts";

/** The options that a test may set. */
type MemoryServerEdit = Pick<ServerOptions, "serving" | "clientCaPem"> & Partial<ServerOptions>;

/** Options of a server without tokens of any kind, unless the edit says otherwise. */
export function memoryServerOptions(clock: Clock, edit: MemoryServerEdit): ServerOptions {
  return {
    storage: createMemoryStorage({ clock }),
    clock,
    random: createSeededRandom(),
    logger: createMemoryLogger(),
    bindAddress: "127.0.0.1",
    port: 0,
    tokenFile: undefined,
    bootstrapTokens: false,
    anonymous: true,
    audit: undefined,
    version: { gitVersion: "v1.37.2" },
    objects: [],
    ...edit,
  };
}
