/** The options of a server over real sockets, with objects in memory and a free port on loopback. */
import type { Clock } from "../../core/ports.ts";
import type { ServerOptions } from "../../server/server.ts";
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import { createMemoryLogger } from "./memory_logger.ts";
import { createSeededRandom } from "./seeded_random.ts";

/** The options that a test may set. */
type MemoryServerEdit = Pick<ServerOptions, "serving" | "clientCaPem"> & Partial<ServerOptions>;

/** Returns the options of a server, by default without tokens of any kind. */
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
