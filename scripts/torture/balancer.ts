/** A load balancer as stands before several API servers: whole connections go to a server that accepts them. */
import { connect, createServer, type Socket } from "node:net";

/** One that runs. */
export interface Balancer extends AsyncDisposable {
  /** How many connections each server has had. */
  counts(): readonly number[];
}

/** Listens on a port of loopback and hands connections on, one server after the other. */
export async function startBalancer(port: number, servers: readonly number[]): Promise<Balancer> {
  const sockets = new Set<Socket>();
  const counts = servers.map(() => 0);
  let turn = 0;

  function keep(socket: Socket): Socket {
    sockets.add(socket);
    socket.once("close", () => void sockets.delete(socket));
    return socket;
  }

  /** A server that does not accept is passed over; where none does, the client is let go. */
  function hand(client: Socket, triesLeft: number): void {
    if (triesLeft === 0 || client.destroyed) return void client.destroy();
    const index = turn++ % servers.length;
    const server = keep(connect(servers[index]!, "127.0.0.1"));
    const refused = (): void => hand(client, triesLeft - 1);
    server.once("error", refused);
    server.once("connect", () => {
      counts[index]!++;
      server.off("error", refused);
      server.on("error", () => client.destroy());
      server.once("close", () => client.destroy());
      client.once("close", () => server.destroy());
      if (client.destroyed) server.destroy();
      else client.pipe(server).pipe(client);
    });
  }

  const listener = createServer((client) => {
    keep(client).on("error", () => client.destroy());
    hand(client, servers.length);
  });
  await new Promise<void>((resolve, reject) => {
    listener.once("error", reject);
    listener.listen(port, "127.0.0.1", resolve);
  });
  return {
    counts: () => counts,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
