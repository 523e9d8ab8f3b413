/** Lets an HTTP server of a test listen on loopback. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A server that listens. Disposing it also closes the connections of its clients. */
export interface LoopbackServer extends AsyncDisposable {
  readonly port: number;
}

/** Lets a server, which may use TLS, listen on a free port. */
export async function listenOnLoopback(server: Server): Promise<LoopbackServer> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
