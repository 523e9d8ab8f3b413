/** HTTP/1.1 written by hand over TLS, for bytes that no client library would send. */
import { connect } from "node:tls";

/** The bytes that the server sent until it closed the connection. */
export interface RawAnswer {
  readonly text: string;
  /** The codes of all answers; there are several if a request was smuggled. */
  readonly codes: readonly number[];
}

/** The longest time for a connection, on a busy machine. */
const CLOSE_TIMEOUT_MS = 60_000;

/**
 * Sends bytes unchanged, and waits until the server closes the connection: on request, or because it refuses the bytes.
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
      () => socket.destroy(new Error(`open for ${CLOSE_TIMEOUT_MS} ms: ${text.slice(0, 500)}`)),
      CLOSE_TIMEOUT_MS,
    );
    socket.setEncoding("latin1").on("data", (chunk: string) => text += chunk);
    // If the server closes while the client still writes, it resets the connection.
    socket.on("error", (error: NodeJS.ErrnoException) => error.code === undefined && reject(error));
    socket.on("close", () => {
      clearTimeout(timer);
      const codes = [...text.matchAll(/(?:^|\n|\})HTTP\/1\.1 (\d{3})/g)].map(([, code]) => Number(code));
      resolve({ text, codes });
    });
    socket.once("secureConnect", () => socket.write(bytes));
  });
}
