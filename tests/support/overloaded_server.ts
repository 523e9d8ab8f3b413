/** A server over real sockets with a fake clock, for tests that attack it, and an honest client. */
import { parseTokenFile } from "../../core/token/token_file.ts";
import type { GuardLimits } from "../../server/connections/connection_guard.ts";
import { type Server, startServer } from "../../server/server.ts";
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import { eventually } from "./eventually.ts";
import { createFakeClock, type FakeClock } from "./fake_clock.ts";
import { ask } from "./https_request.ts";
import { createIssuingCa, issueServing } from "./issuing_ca.ts";
import { memoryServerOptions } from "./memory_server.ts";
import { createMemoryLogger, type MemoryLogger } from "./memory_logger.ts";

/** Tokens of users of different groups. */
export const TOKENS = { admin: "admin-token", node: "node-token", attacker: "attacker-token", honest: "honest-token" };

const TOKEN_FILE = `${TOKENS.admin},admin,1,"system:masters"
${TOKENS.node},system:node:a,2,"system:nodes"
${TOKENS.attacker},attacker,3,"system:bootstrappers"
${TOKENS.honest},honest,4,"system:bootstrappers"
`;

/** The time between two sweeps of the listener. */
const SWEEP_MS = 1_000;

/** A server that a test attacks. */
export interface OverloadedServer extends AsyncDisposable {
  readonly server: Server;
  readonly port: number;
  readonly logger: MemoryLogger;
  readonly clock: FakeClock;
  /**
   * Advances the clock, ten seconds at a time, until the condition holds: at most by the limit and one sweep of the
   * listener, which closes what has timed out.
   */
  passUntil(what: string, limitMs: number, condition: () => boolean): Promise<void>;
  /** Sends a request of an honest client over a new connection; returns the status code. */
  ask(path: string, token?: string): Promise<number>;
}

/** Starts a server in memory. Only its handshake timeout is in real time. */
export async function startOverloadedServer(
  connectionLimits: Partial<GuardLimits> = {},
  maxRequestsInflight = 600,
): Promise<OverloadedServer> {
  const clock = createFakeClock(new Date());
  const ca = await createIssuingCa(clock.now());
  const tokenFile = parseTokenFile(TOKEN_FILE, "tokens.csv");
  if (!tokenFile.ok) throw new Error("the token file is invalid");
  const logger = createMemoryLogger();
  const storage = createMemoryStorage({ clock });
  const server = await startServer(memoryServerOptions(clock, {
    storage,
    logger,
    serving: await issueServing(ca),
    clientCaPem: ca.caPem,
    tokenFile: tokenFile.value,
    bootstrapTokens: true,
    connectionLimits,
    maxRequestsInflight,
  }));
  return {
    server,
    port: server.port,
    logger,
    clock,
    async passUntil(what, limitMs, condition) {
      const end = clock.elapsedMs() + limitMs + SWEEP_MS;
      await eventually(what, async () => {
        if (!condition()) await clock.advance(Math.min(10_000, end - clock.elapsedMs()));
        return condition() ? true : undefined;
      });
    },
    ask: async (path, token) => (await ask({ port: server.port, ca: ca.caPem, path, token })).code,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
    },
  };
}
