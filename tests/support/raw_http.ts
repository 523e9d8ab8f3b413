/** HTTP/1.1 by hand over TLS, for bytes that no client library would send. */
import { connect } from "node:tls";

/** The bytes of the server until it closed or was quiet for a while. */
export interface RawAnswer {
  readonly text: string;
  /** The codes of all answers in it: more than one where a request was smuggled. */
  readonly codes: readonly number[];
  readonly isClosed: boolean;
}

/** The longest time of a handshake, and then of the first byte, on a machine that does other work too. */
const FIRST_MS = 20_000;
/** How long to wait for more bytes from a server that keeps a connection open. */
const QUIET_MS = 1_500;

/** Sends bytes as they are. */
export function sendRaw(
  port: number,
  bytes: string | Uint8Array,
  pair: { readonly cert?: string; readonly key?: string } = {},
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({
      host: "127.0.0.1",
      port,
      rejectUnauthorized: false,
      ALPNProtocols: ["http/1.1"],
      ...pair,
    });
    const finish = (isClosed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      const codes = [...text.matchAll(/(?:^|\n|\})HTTP\/1\.1 (\d{3})/g)].map(([, code]) => Number(code));
      resolve({ text, codes, isClosed });
    };
    let timer = setTimeout(() => finish(false), FIRST_MS);
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      text += chunk;
      clearTimeout(timer);
      timer = setTimeout(() => finish(false), QUIET_MS);
    });
    socket.on("error", () => finish(true)).on("close", () => finish(true));
    socket.once("secureConnect", () => {
      clearTimeout(timer);
      timer = setTimeout(() => finish(false), FIRST_MS);
      socket.write(bytes);
    });
  });
}
