/** An HTTP proxy that opens tunnels (CONNECT), all of them to 127.0.0.1. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer as createPlainServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";

/** A running proxy, and the requests that it received. */
interface HttpProxy extends AsyncDisposable {
  /** The address of the proxy: `http://127.0.0.1:port`, or `https://localhost:port`. */
  readonly url: string;
  /** The request line and the headers of every CONNECT. */
  readonly heads: readonly string[];
  /** The answer in place of a tunnel; "hang" for no answer. */
  answer: string | undefined;
}

/** Starts a proxy, over TLS if it gets a certificate. */
export async function startHttpProxy(
  pair?: { readonly certificatePem: string; readonly keyPem: string },
): Promise<HttpProxy> {
  const sockets = new Set<Socket>();
  const heads: string[] = [];
  const proxy: { answer: string | undefined } = { answer: undefined };
  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket));
  };
  const serve = (client: Socket): void => {
    let head = "";
    const read = (chunk: Uint8Array): void => {
      head += new TextDecoder("latin1").decode(chunk);
      if (!head.includes("\r\n\r\n")) return;
      client.off("data", read);
      heads.push(head);
      if (proxy.answer === "hang") return;
      if (proxy.answer !== undefined) return void client.end(proxy.answer);
      const port = Number(/^CONNECT \S+:(\d+) HTTP\/1\.1\r\n/.exec(head)?.[1]);
      const server = track(connect(port, "127.0.0.1", () => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n");
        client.pipe(server).pipe(client);
      }));
      client.on("close", () => server.destroy());
      server.on("close", () => client.destroy());
    };
    track(client).on("data", read);
  };
  const listener = pair === undefined
    ? createPlainServer(serve)
    : createTlsServer({ cert: pair.certificatePem, key: pair.keyPem }, serve);
  listener.on("tlsClientError", () => {});
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  return Object.assign(proxy, {
    url: pair === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`,
    heads,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, "close");
    },
  });
}
