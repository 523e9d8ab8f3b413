/**
 * Opens connections through an HTTP proxy with CONNECT (RFC 9110, section 9.3.6). The tunnel carries TLS to the server.
 */
import { Buffer } from "node:buffer";
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls, getCACertificates } from "node:tls";
import { AppError, type AppErrorOptions, getErrorMessage } from "../../core/errors.ts";
import type { HttpProxy } from "../../core/lib/proxy.ts";

/** The end of a tunnel, and its limits. */
export interface TunnelOptions {
  /** The server, which the proxy resolves: a name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  /** The CAs of the server, which are trusted for the proxy too, as in client-go. */
  readonly caPem?: string | undefined;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** A proxy answers a CONNECT with a few hundred bytes. */
const MAX_ANSWER_BYTES = 16_384;

/**
 * Opens a tunnel to a server. AppError `unreachable` names the server and the proxy but never the proxy's user. It is
 * retryable unless the proxy refuses the credentials.
 */
export function openTunnel(proxy: HttpProxy, options: TunnelOptions): Promise<Socket> {
  const { host, port, timeoutMs, signal } = options;
  const target = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    const socket = connectProxy(proxy, options.caPem);
    const settle = (end: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      socket.off("data", onData).off("error", onError).off("close", onClose);
      end();
    };
    const fail = (error: unknown): void =>
      settle(() => {
        // Without a listener, an error that comes later would end the program.
        socket.on("error", () => {}).destroy();
        reject(error);
      });
    const refuse = (what: string, rest: AppErrorOptions = {}): void =>
      fail(createProxyError(proxy, target, what, rest));
    const onAbort = (): void => fail(signal?.reason);
    const onError = (error: unknown): void => refuse(getErrorMessage(error), { cause: error });
    const onClose = (): void => refuse("it closed the connection");
    let answer = Buffer.alloc(0);
    const onData = (chunk: Uint8Array): void => {
      answer = Buffer.concat([answer, chunk]);
      const end = answer.indexOf("\r\n\r\n");
      if (end < 0 && answer.length <= MAX_ANSWER_BYTES) return;
      const [, status, reason = ""] =
        /^HTTP\/1\.[01] (\d{3})(?: ([\x20-\x7e]{0,100}))?/.exec(answer.toString("latin1")) ?? [];
      if (status === undefined || end < 0) return refuse("it does not speak HTTP");
      if (status === "407") return refuse("it wants another user name or password (407)", WRONG_USER);
      if (!status.startsWith("2")) return refuse(`it answered ${status} ${reason}`.trimEnd());
      settle(() => {
        socket.pause();
        const rest = answer.subarray(end + 4);
        if (rest.length > 0) socket.unshift(rest);
        resolve(socket);
      });
    };
    const timer = setTimeout(() => refuse(`no tunnel within ${timeoutMs / 1000} s`), timeoutMs);
    if (signal?.aborted === true) return onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
    socket.on("data", onData).once("error", onError).once("close", onClose);
    socket.once(proxy.isTls ? "secureConnect" : "connect", () => {
      const authorization = proxy.authorization === undefined
        ? ""
        : `Proxy-Authorization: ${proxy.authorization.reveal()}\r\n`;
      socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${authorization}\r\n`);
    });
  });
}

const WRONG_USER = {
  hint: "write user name and password into the proxy's URL: http://USER:PASSWORD@host:port",
  retryable: false,
};

function connectProxy({ host, port, isTls }: HttpProxy, caPem: string | undefined): Socket {
  if (!isTls) return connectPlain({ host, port });
  const ca = [...getCACertificates("system"), ...(caPem === undefined ? [] : [caPem])];
  return connectTls({ host, port, ca, minVersion: "TLSv1.2" });
}

function createProxyError(
  proxy: HttpProxy,
  target: string,
  what: string,
  rest: AppErrorOptions,
): AppError {
  return new AppError("unreachable", `cannot reach "${target}" through the proxy "${proxy.origin}": ${what}`, {
    retryable: true,
    hint: "check HTTPS_PROXY or proxy-url; NO_PROXY names the servers that need no proxy",
    ...rest,
  });
}
