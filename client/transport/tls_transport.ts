/**
 * HTTPS to a remote Kubernetes API over `node:https`: keep-alive HTTP/1.1, streamed answers, typed failures, and a second
 * check of the server's certificates.
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { Agent, request as httpsRequest, type RequestOptions } from "node:https";
import { versions } from "node:process";
import { isIP, type Socket } from "node:net";
import {
  connect,
  type ConnectionOptions,
  type DetailedPeerCertificate,
  getCACertificates,
  type PeerCertificate,
} from "node:tls";
import type { Secret } from "../../core/lib/brand.ts";
import { withoutBrackets } from "../../core/lib/ip_address.ts";
import type { HttpProxy } from "../../core/lib/proxy.ts";
import type { Result } from "../../core/lib/result.ts";
import { AppError } from "../../core/errors.ts";
import type { Clock, Transport, TransportRequest, TransportResponse } from "../../core/ports.ts";
import { findCertificates } from "../../core/pki/x509/ca_bundle.ts";
import { type CertificateFacts, isSelfIssued, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { findKeyFault, verifyChain } from "../../core/pki/x509/chain.ts";
import { findNameFault, NO_SUBTREES } from "../../core/pki/x509/name_constraints.ts";
import { NO_ALTERNATIVE_NAMES } from "../../core/pki/x509/subject_alternative_names.ts";
import {
  findAlgorithmError,
  findHostFault,
  findLifetimeError,
  HOST_HINT,
  isClosedWhileIdle,
  toConnectionError,
} from "./connection_error.ts";
import { openTunnel, type TunnelOptions } from "./tunnel.ts";

/** A client certificate with its key, as PEM. */
export interface ClientPair {
  readonly certificatePem: string;
  readonly keyPem: Secret<string>;
}

/** The server, the trust and the credentials of a transport. */
export interface TlsTransportOptions {
  /** The URL of the server: `https://host:port`, with a path when the API is served below one. */
  readonly server: string;
  /**
   * The CAs trusted for the serving certificate, or a function that is called before each request. When they change,
   * new connections trust the new ones, as in client-go's `transport/ca_rotation.go`; requests in flight continue. When
   * absent, the system's roots are trusted, as in client-go.
   */
  readonly caPem?: string | (() => Promise<string>) | undefined;
  /** Accepts any serving certificate, without verification. */
  readonly insecureSkipTlsVerify?: boolean;
  /** The TLS server name, when it differs from the server's host. */
  readonly tlsServerName?: string | undefined;
  /**
   * Called before each request. When the pair changes, connections with the previous pair are closed, as in kubelet.
   */
  readonly clientPair?: (() => Promise<ClientPair | undefined>) | undefined;
  /** Returns the bearer token; called before each request. */
  readonly token?: () => Promise<Secret<string> | undefined>;
  /** The proxy through which the server is reached; by default the server is reached directly. */
  readonly proxy?: HttpProxy | undefined;
  readonly userAgent: string;
  /** Used to report an expired serving certificate with its times, instead of only an untrusted one. */
  readonly clock?: Clock;
  readonly timeouts?: TransportTimeouts | undefined;
}

/** The timeouts of a transport, in milliseconds. */
export interface TransportTimeouts {
  /** The limit for the TCP and TLS handshakes. Default: 30 s, kubelet's dial timeout. */
  readonly connectMs?: number;
}

/** A transport that keeps connections until it is disposed. */
export type TlsTransport = Transport & AsyncDisposable;

const IS_DENO = versions["deno"] !== undefined;
/**
 * The minimum version of client-go. It is set here because the default of a runtime can be lowered, for example by
 * NODE_OPTIONS.
 */
const MIN_TLS_VERSION = "TLSv1.2";
const CONNECT_MS = 30_000;
/** kubelet's idle connections per host (`pkg/kubelet/certificate/transport.go`). */
const MAX_IDLE_CONNECTIONS = 25;

/**
 * Creates a transport. `send` opens connections and keeps them. Throws AppError `kubeconfig_invalid` for a server that
 * is not an https URL. `send` throws `unreachable` (retryable), `tls_untrusted` or the signal's reason.
 */
export function createTlsTransport(options: TlsTransportOptions): TlsTransport {
  const base = parseServer(options.server);
  const { clock, caPem: given } = options;
  const readCa = typeof given === "function" ? given : () => Promise.resolve(given);
  const retired: Agent[] = [];
  let caPem: string | undefined;
  let pair: ClientPair | undefined;
  let agent: Agent | undefined;

  const connectMs = options.timeouts?.connectMs ?? CONNECT_MS;

  function fail(error: unknown): AppError {
    return toConnectionError(error, base, options.tlsServerName ?? base.hostname, options.proxy);
  }

  async function explain(error: unknown, trusted: string | undefined): Promise<AppError> {
    const failure = fail(error);
    if (failure.code !== "tls_untrusted") return failure;
    const unable = trusted === undefined ? undefined : findAlgorithmError(failure, base, trusted);
    if (unable !== undefined || options.clock === undefined) return unable ?? failure;
    const { tlsServerName, proxy } = options;
    const validity = await findServingCertificate(base, { tlsServerName, proxy, timeoutMs: connectMs });
    return findLifetimeError(failure, base, validity, options.clock.now()) ?? failure;
  }

  /** Chooses the agent for a request: the current one, unless the CAs or the client certificate have changed. */
  function chooseAgent(trusted: string | undefined, current: ClientPair | undefined): Agent {
    const isSameCa = trusted === caPem;
    if (agent !== undefined && isSameCa && current?.certificatePem === pair?.certificatePem) return agent;
    if (agent !== undefined) {
      if (isSameCa) agent.destroy();
      else retired.push(retire(agent));
    }
    caPem = trusted;
    pair = current;
    const now = clock === undefined ? undefined : () => clock.now();
    agent = createAgent(createServerIdentityCheck({ caPem, verifiesPath: IS_DENO, origin: base.origin, now }));
    if (options.proxy !== undefined) useProxy(agent, options.proxy, { caPem, timeoutMs: connectMs });
    return agent;
  }

  async function send(request: TransportRequest, signal: AbortSignal): Promise<TransportResponse> {
    signal.throwIfAborted();
    const trusted = await readCa();
    const current = await options.clientPair?.();
    const chosen = chooseAgent(trusted, current);
    const token = await options.token?.();
    const body = request.body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(request.body));
    const headers = {
      "user-agent": options.userAgent,
      ...(token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
      ...(body === undefined ? {} : { "content-length": String(body.length) }),
      ...request.headers,
    };
    const tls: RequestOptions = {
      minVersion: MIN_TLS_VERSION,
      ...toTrustOptions(options, trusted),
      ...(options.tlsServerName === undefined ? {} : { servername: options.tlsServerName }),
      ...(current === undefined ? {} : { cert: current.certificatePem, key: current.keyPem.reveal() }),
    };
    const attempt = (): Promise<IncomingMessage> =>
      exchange(
        new URL(base.pathname.replace(/\/$/, "") + request.path, base),
        { ...tls, agent: chosen, method: request.method, headers },
        body,
        connectMs,
        signal,
      );
    const answer = await attempt().catch((error: unknown) => {
      signal.throwIfAborted();
      // The server closed the kept connection at the same moment: one more try with a new one.
      if (isClosedWhileIdle(error) && isReplayable(request.method)) return attempt();
      throw error;
    }).catch(async (error: unknown) => {
      signal.throwIfAborted();
      throw await explain(error, trusted);
    });
    return { status: answer.statusCode ?? 0, headers: joinHeaders(answer), body: readBody(answer, fail, signal) };
  }

  return {
    send,
    [Symbol.asyncDispose]() {
      for (const one of [...retired, ...(agent === undefined ? [] : [agent])]) one.destroy();
      return Promise.resolve();
    },
  };
}

function toTrustOptions({ insecureSkipTlsVerify }: TlsTransportOptions, caPem: string | undefined): RequestOptions {
  if (insecureSkipTlsVerify === true) return { rejectUnauthorized: false };
  // As in Go, a bundle may hold an intermediate CA without its root. rustls in Deno accepts that without an option.
  return caPem === undefined ? { ca: getCACertificates("system") } : { ca: caPem, allowPartialTrustChain: true };
}

/** Creates an agent with the check. Passing the check with each request would prevent the reuse of connections. */
function createAgent(checkServerIdentity: ServerIdentityCheck): Agent {
  const keep = { keepAlive: true, maxFreeSockets: MAX_IDLE_CONNECTIONS, keepAliveMsecs: 30_000 };
  return new Agent({ ...keep, checkServerIdentity });
}

/** Makes an agent reach its servers through a proxy. */
function useProxy(agent: Agent, proxy: HttpProxy, limits: Pick<TunnelOptions, "caPem" | "timeoutMs">): void {
  agent.createConnection = (given, callback) => {
    // The types know neither that the options are those of the request nor that an error comes without a socket.
    const options = given as ConnectionOptions & Pick<TunnelOptions, "signal">;
    const finish = callback as (error: Error | null, socket?: Socket) => void;
    const { host = "", port = 443, signal } = options;
    openTunnel(proxy, { ...limits, host, port, signal })
      .then((socket) => finish(null, connect({ ...options, socket })), finish);
    return undefined;
  };
}

/** Closes idle connections; the others close after the answer to their request. */
function retire(agent: Agent): Agent {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) sockets?.forEach((socket) => socket.destroy());
  return agent;
}

function parseServer(server: string): URL {
  const url = URL.parse(server);
  if (url?.protocol === "https:") return url;
  throw new AppError("kubeconfig_invalid", `cannot connect to "${server}": not an https URL`, {
    hint: "write the server as https://host:port in the kubeconfig",
  });
}

/**
 * Reports whether a request may be sent again when its connection was closed before the answer. The server may have carried
 * it out, so a write is not repeated (Go's net/http, `isReplayable`).
 */
function isReplayable(method = "GET"): boolean {
  return ["GET", "HEAD"].includes(method);
}

/** Sends one request and resolves with the answer's headers. An error has `reusedSocket` for a kept connection. */
function exchange(
  url: URL,
  options: RequestOptions,
  body: Uint8Array | undefined,
  connectMs: number,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, { ...options, signal });
    const timer = setTimeout(() => {
      request.destroy(Object.assign(new Error(`no connection within ${connectMs / 1000} s`), { code: "ETIMEDOUT" }));
    }, connectMs);
    const connected = (): void => clearTimeout(timer);
    const settle = (end: () => void): void => {
      connected();
      signal.removeEventListener("abort", onAbort);
      end();
    };
    // Deno does not always report that a request on a kept connection was aborted.
    const onAbort = (): void => settle(() => reject(signal.reason));
    signal.addEventListener("abort", onAbort, { once: true });
    let sockets = 0;
    request.on("socket", (socket) => {
      sockets++;
      // Deno sends a request again when a kept connection was closed: also a write, and one that was aborted, whose new
      // connection nothing would ever close.
      if (signal.aborted || (sockets > 1 && !isReplayable(options.method))) socket.destroy();
      else if (request.reusedSocket) connected();
      else socket.once("secureConnect", connected);
    });
    request.on(
      "error",
      (error) => settle(() => reject(Object.assign(error, { reusedSocket: request.reusedSocket }))),
    );
    request.on("response", (response) => settle(() => resolve(response)));
    request.end(body);
  });
}

async function* readBody(
  answer: IncomingMessage,
  fail: (error: unknown) => AppError,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let isWhole = false;
  try {
    for await (const chunk of answer) yield chunk as Uint8Array; // no encoding is set, so chunks are Buffers
    isWhole = true;
  } catch (error) {
    signal.throwIfAborted();
    throw fail(error);
  } finally {
    // When the caller stops early, the connection cannot be kept in the middle of an answer. After a complete answer it
    // may already serve another request, so it must not be closed.
    if (!isWhole) answer.destroy();
  }
  signal.throwIfAborted();
}

function joinHeaders(answer: IncomingMessage): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined) headers[name] = typeof value === "string" ? value : value.join(", ");
  }
  return headers;
}

/** Options for reading a serving certificate. */
interface FindCertificateOptions {
  readonly tlsServerName?: string | undefined;
  readonly proxy?: HttpProxy | undefined;
  readonly timeoutMs: number;
}

/**
 * Connects without trusting the server, sends nothing, and reads its certificate. Undefined when the connection fails
 * or the certificate cannot be parsed.
 */
export async function findServingCertificate(
  server: URL,
  options: FindCertificateOptions,
): Promise<CertificateFacts | undefined> {
  const der = await findServingDer(server, options);
  const certificate = der === undefined ? undefined : parseCertificate(der);
  return certificate?.ok === true ? certificate.value : undefined;
}

async function findServingDer(
  server: URL,
  { tlsServerName, proxy, timeoutMs }: FindCertificateOptions,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const host = withoutBrackets(server.hostname);
  const port = Number(server.port === "" ? 443 : server.port);
  const tunnel = proxy && await openTunnel(proxy, { host, port, timeoutMs }).catch(() => undefined);
  if (proxy !== undefined && tunnel === undefined) return undefined;
  const name = tlsServerName ?? (isIP(host) === 0 ? host : undefined);
  return await new Promise((resolve) => {
    const socket = connect({
      ...(tunnel === undefined ? { host, port } : { socket: tunnel }),
      minVersion: MIN_TLS_VERSION,
      rejectUnauthorized: false,
      ...(name === undefined ? {} : { servername: name }),
    });
    const finish = (der: Uint8Array<ArrayBuffer> | undefined): void => {
      socket.destroy();
      resolve(der);
    };
    socket.setTimeout(timeoutMs, () => finish(undefined));
    socket.once("error", () => finish(undefined));
    socket.once("secureConnect", () => {
      const { raw } = socket.getPeerCertificate();
      // A copy, because the buffer belongs to the socket.
      finish(raw === undefined ? undefined : new Uint8Array(raw));
    });
  });
}

/** The roots that a client trusts, and how it checks them. */
export interface ServerIdentityOptions {
  /**
   * The trusted CAs. When absent, the system's roots are trusted; they are not known here, so only names are checked.
   */
  readonly caPem?: string | undefined;
  /**
   * Whether the path is checked too. That needs a TLS layer that reports every certificate the server sent. Node
   * reports only a path of its own, which is not always the one that OpenSSL found.
   */
  readonly verifiesPath: boolean;
  /** The time for the validity of roots, used with `verifiesPath`. When absent, it is not checked. */
  readonly now?: (() => Date) | undefined;
  /** The URL of the server for error messages, `https://host:port`. */
  readonly origin: string;
}

/** A `checkServerIdentity` of `node:tls`: returns the error for a server that is not trusted. */
type ServerIdentityCheck = (host: string, shown: PeerCertificate) => Error | undefined;

/**
 * Creates a second check of a server's certificates, after the TLS layer has accepted them: names by subject alternative
 * names, and the path to one of the roots by `verifyChain`. It can only refuse more. Node accepts a common name as the
 * host, and a wildcard for part of a label. rustls, which Deno uses, accepts issuers of X.509 version 1, issuers whose key
 * usage does not allow signing, and roots outside their validity. OpenSSL accepts RSA keys of any size and with exponent 1.
 */
export function createServerIdentityCheck(options: ServerIdentityOptions): ServerIdentityCheck {
  const { caPem, origin, verifiesPath, now } = options;
  const roots = caPem === undefined ? [] : findCertificates(caPem);
  return (host, shown) => {
    const [leaf, ...others] = listShownCertificates(shown).map((der) => parseCertificate(der));
    if (leaf === undefined || !leaf.ok) return createUntrustedError(origin, leaf?.error ?? "it sent no certificate");
    const fault = findHostFault(leaf.value, host);
    if (fault !== undefined) {
      return new AppError(
        "tls_untrusted",
        `cannot trust "${origin}": its serving certificate is not valid for the name "${host}"`,
        { hint: HOST_HINT, cause: new Error(fault) },
      );
    }
    // A certificate that cannot be parsed cannot be part of the path.
    const intermediates = others.flatMap((one) => one.ok ? [one.value] : []);
    const keyFault = [leaf.value, ...intermediates.filter((one) => !isSelfIssued(one))]
      .map(findKeyFault).find((found) => found !== undefined);
    const addedFault = keyFault ?? findWildcardFault(leaf.value, intermediates);
    if (addedFault !== undefined) return createUntrustedError(origin, addedFault);
    if (!verifiesPath || caPem === undefined) return undefined;
    // rustls has checked every validity except that of roots, by the machine's clock.
    const at = now?.();
    const current = roots.filter(({ notBefore, notAfter }) => at === undefined || (at >= notBefore && at <= notAfter));
    const verify = (trusted: readonly CertificateFacts[]): Result<unknown, string> =>
      verifyChain(leaf.value, intermediates, trusted, { at: undefined, usage: "server" });
    const path = verify(current);
    if (path.ok) return undefined;
    return createUntrustedError(origin, verify(roots).ok ? "the root has expired or is not yet valid" : path.error);
  };
}

/**
 * Finds a wildcard that covers a name that a CA excludes. OpenSSL compares the asterisk literally, but Go expands it.
 * Without this check, such a CA could certify a server for an excluded name.
 */
function findWildcardFault({ dnsNames }: CertificateFacts, issuers: readonly CertificateFacts[]): string | undefined {
  const wildcards = { ...NO_ALTERNATIVE_NAMES, dnsNames: dnsNames.filter((name) => name.startsWith("*.")) };
  for (const { nameConstraints } of issuers) {
    if (nameConstraints === undefined) continue;
    const fault = findNameFault({ permitted: NO_SUBTREES, excluded: nameConstraints.excluded }, wildcards);
    if (fault !== undefined) return `x509: a CA issued a certificate for a name that it must not: ${fault}`;
  }
  return undefined;
}

function createUntrustedError(origin: string, why: string): AppError {
  return new AppError("tls_untrusted", `cannot trust "${origin}": its certificates break a rule: ${why}`, {
    hint: "inspect the server's certificate and its CAs with: tlsboot inspect FILE",
  });
}

/** Lists the certificates, leaf first. A root, which is its own issuer, ends the list. */
function listShownCertificates(leaf: PeerCertificate): readonly Uint8Array<ArrayBuffer>[] {
  const chain = new Map<string, Uint8Array<ArrayBuffer>>();
  let next: Partial<DetailedPeerCertificate> | undefined = leaf;
  while (next?.raw !== undefined) {
    const key = Buffer.from(next.raw).toString("base64");
    if (chain.has(key)) break;
    chain.set(key, new Uint8Array(next.raw));
    next = next.issuerCertificate;
  }
  return [...chain.values()];
}
