/** HTTP/1.1 by hand over TLS, for bytes that no client library would send. */
import { connect } from "node:tls";

/** The bytes of the server until it closed the connection. */
export interface RawAnswer {
  readonly text: string;
  /** The codes of all answers in it: more than one where a request was smuggled. */
  readonly codes: readonly number[];
}

/** The longest time for a connection, on a machine that does other work too. */
const CLOSED_WITHIN_MS = 60_000;

/**
 * Sends bytes as they are, and waits until the server closes the connection: because the bytes ask for it, or because they
 * are refused.
 */
export function sendRaw(
  port: number,
  bytes: string | Uint8Array,
  pair: { readonly cert?: string; readonly key?: string } = {},
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect({
      host: "127.0.0.1",
      port,
      rejectUnauthorized: false,
      ALPNProtocols: ["http/1.1"],
      ...pair,
    });
    const timer = setTimeout(
      () => socket.destroy(new Error(`open for ${CLOSED_WITHIN_MS} ms: ${text.slice(0, 500)}`)),
      CLOSED_WITHIN_MS,
    );
    socket.setEncoding("latin1").on("data", (chunk: string) => text += chunk);
    // A server that closes while the client still writes resets the connection.
    socket.on("error", (error: NodeJS.ErrnoException) => error.code === undefined && reject(error));
    socket.on("close", () => {
      clearTimeout(timer);
      const codes = [...text.matchAll(/(?:^|\n|\})HTTP\/1\.1 (\d{3})/g)].map(([, code]) => Number(code));
      resolve({ text, codes });
    });
    socket.once("secureConnect", () => socket.write(bytes));
  });
}
