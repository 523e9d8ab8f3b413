/** A load balancer of whole connections, which knows nothing of TLS: each one goes to a server that accepts it. */
import { connect, createServer, type Socket } from "node:net";

/** A relay that accepts connections until it is disposed. */
export interface Relay extends AsyncDisposable {
  readonly port: number;
}

/** Starts a relay to the ports of some servers, on a port of its own. */
export async function startRelay(port: number, servers: readonly number[]): Promise<Relay> {
  let turn = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    open.add(client);
    client.once("close", () => open.delete(client));
    client.on("error", () => client.destroy());
    forward(client, [...servers.slice(turn), ...servers.slice(0, turn)]);
    turn = (turn + 1) % servers.length;
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function forward(client: Socket, [port, ...others]: readonly number[]): void {
  if (port === undefined) return void client.destroy();
  const upstream = connect({ host: "127.0.0.1", port });
  const next = (): void => forward(client, others);
  upstream.once("error", next);
  upstream.once("connect", () => {
    upstream.off("error", next);
    upstream.on("error", () => client.destroy());
    upstream.once("close", () => client.destroy());
    client.once("close", () => upstream.destroy());
    client.pipe(upstream);
    upstream.pipe(client);
  });
}
