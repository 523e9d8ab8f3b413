/**
 * `node:https` for clients, and the HTTPS listener of servers, over the simulated network. Like TLS, each side verifies
 * the chain of the other with its own CAs and clock.
 */
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import type { PeerCertificate as ShownCertificate } from "node:tls";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { verifyChain } from "../../core/pki/x509/chain.ts";
import { parsePemBlocks } from "../../core/pki/asn1/pem.ts";
import type { App } from "../../server/app.ts";
import type { PeerCertificate } from "../../server/authn/authentication.ts";
import type { ServingPair } from "../../server/connections/listener.ts";
import { type Answer, isStream, joinPieces } from "../../server/http/answer.ts";
import { ResultCache } from "./crypto.ts";
import type { Process } from "./host.ts";
import type { Connection, Network } from "./network.ts";

/** The messages of a connection: a handshake, then alternating requests and answers. */
type Message =
  | { readonly kind: "hello" }
  | { readonly kind: "certificate"; readonly chain: Chain }
  | { readonly kind: "finished"; readonly chain: Chain | undefined }
  | { readonly kind: "request"; readonly request: SentRequest }
  | { readonly kind: "head"; readonly status: number; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: "piece"; readonly bytes: Uint8Array }
  | { readonly kind: "end" };

/** Certificates in DER, leaf first. */
type Chain = readonly Uint8Array<ArrayBuffer>[];

interface SentRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer> | undefined;
}

/** The app of a server, its certificate, and the CAs of clients that it trusts. */
interface HttpsService {
  readonly app: App;
  readonly serving: () => ServingPair;
  readonly clientCas: () => readonly CertificateFacts[];
}

/** How long a server keeps an idle connection, in milliseconds. */
const IDLE_MS = 120_000;

/** Serves an app on the network until the process ends. */
export function serveHttps(own: Process, network: Network, port: number, service: HttpsService): void {
  network.listen(own, port, (connection) => new ServedConnection(own, connection, service));
}

class ServedConnection {
  readonly #own: Process;
  readonly #connection: Connection;
  readonly #service: HttpsService;
  #peer: PeerCertificate | undefined;
  #abort: AbortController | undefined;
  #lastMs = 0;

  constructor(own: Process, connection: Connection, service: HttpsService) {
    this.#own = own;
    this.#connection = connection;
    this.#service = service;
    connection.handlers = {
      message: (message) => this.#receive(message as Message),
      closed: () => this.#abort?.abort(new Error("the client has disconnected")),
    };
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    const { scheduler } = this.#own.host;
    this.#lastMs = scheduler.nowMs;
    scheduler.schedule(IDLE_MS, () => {
      if (this.#abort === undefined && scheduler.nowMs - this.#lastMs >= IDLE_MS) this.#connection.close();
    }, this.#own);
  }

  #receive(message: Message): void {
    if (message.kind === "hello") {
      this.#connection.send({ kind: "certificate", chain: readChain(this.#service.serving().certificatePem) });
    } else if (message.kind === "finished") {
      this.#peer = message.chain === undefined ? undefined : this.#verify(message.chain);
    } else if (message.kind === "request") {
      void this.#answer(message.request);
    }
  }

  #verify(chain: Chain): PeerCertificate {
    const [leaf, ...issuers] = chain.map((der) => parseCertificate(der));
    if (leaf?.ok !== true) return { kind: "unverified", reason: leaf?.error ?? "no certificate", chain };
    const path = verifyChain(
      leaf.value,
      issuers.flatMap((one) => one.ok ? [one.value] : []),
      this.#service.clientCas(),
      { at: this.#own.clock.now(), usage: "client" },
    );
    return path.ok ? { kind: "verified", chain } : { kind: "unverified", reason: path.error, chain };
  }

  async #answer({ method, path, headers, body }: SentRequest): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    const { remote } = this.#connection;
    const answer = await this.#service.app({
      method,
      target: path,
      rawHeaders: Object.entries(headers).flat(),
      peer: this.#peer,
      remoteAddress: toAddress(remote),
      signal: abort.signal,
      readBody: (take) => Promise.resolve(void (body !== undefined && take(body.slice()))),
    });
    const { trace } = this.#own.host.scheduler;
    trace.add(this.#own.name, `${remote} ${method} ${path} ${answer.status}${describeSize(answer)}`);
    await this.#send(answer, abort.signal);
    this.#abort = undefined;
    this.#closeWhenIdle();
  }

  async #send({ status, headers, body }: Answer, signal: AbortSignal): Promise<void> {
    const connection = this.#connection;
    const joined: Record<string, string> = {};
    for (const [name, value] of Object.entries(headers)) {
      joined[name] = typeof value === "string" ? value : value.join(", ");
    }
    connection.send({ kind: "head", status, headers: joined });
    if (isStream(body)) {
      signal.addEventListener("abort", () => body.cancel(), { once: true });
      if (signal.aborted) body.cancel();
      for (let piece = await body.next(); piece !== undefined; piece = await body.next()) {
        // Copy the chunk, because the server reuses its buffers.
        connection.send({ kind: "piece", bytes: piece.slice() });
      }
    } else if (body !== undefined) {
      connection.send({ kind: "piece", bytes: body instanceof Uint8Array ? body : joinPieces(body) });
    }
    connection.send({ kind: "end" });
    if (joined["connection"] === "close") connection.close();
  }
}

function describeSize({ body }: Answer): string {
  if (body === undefined || isStream(body)) return "";
  return ` ${body instanceof Uint8Array ? body.length : body.reduce((sum, piece) => sum + piece.length, 0)}`;
}

/** The address of each host, from the documentation block (RFC 3849), in the order of first connections. */
const addresses = new Map<string, string>();

function toAddress(host: string): string {
  let address = addresses.get(host);
  if (address === undefined) addresses.set(host, address = `2001:db8::${(addresses.size + 1).toString(16)}`);
  return address;
}

const chains = new ResultCache<Chain>();

function readChain(pem: string): Chain {
  return chains.get(
    pem,
    () => parsePemBlocks(pem).filter(({ label }) => label === "CERTIFICATE").map(({ bytes }) => new Uint8Array(bytes)),
  );
}

/** The options of a request that the client's transport sets. */
interface RequestOptions {
  readonly agent: Agent;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly ca?: string;
  readonly rejectUnauthorized?: boolean;
  readonly servername?: string;
  readonly cert?: string;
}

/** Creates the replacement of `node:https` for clients. */
export function createHttpsModule(network: Network, owner: () => Process | undefined): object {
  return {
    Agent,
    request(url: URL, options: RequestOptions): ClientRequest {
      const own = owner();
      if (own === undefined) throw new Error("only the program of a host can send a request");
      return new ClientRequest(network, own, url, options);
    },
  };
}

type IdentityCheck = (host: string, shown: ShownCertificate) => Error | undefined;

class Agent {
  readonly checkServerIdentity: IdentityCheck;
  maxFreeSockets: number;
  readonly #free: ClientSocket[] = [];
  readonly #all = new Set<ClientSocket>();

  constructor(options: { readonly checkServerIdentity: IdentityCheck; readonly maxFreeSockets: number }) {
    this.checkServerIdentity = options.checkServerIdentity;
    this.maxFreeSockets = options.maxFreeSockets;
  }

  get freeSockets(): Readonly<Record<string, readonly ClientSocket[]>> {
    return { all: [...this.#free] };
  }

  destroy(): void {
    for (const socket of this.#all) socket.destroy();
  }

  take(): ClientSocket | undefined {
    return this.#free.shift();
  }

  keep(socket: ClientSocket): void {
    this.#all.add(socket);
  }

  giveBack(socket: ClientSocket): void {
    if (this.#free.length < this.maxFreeSockets) this.#free.push(socket);
    else socket.destroy();
  }

  forget(socket: ClientSocket): void {
    this.#all.delete(socket);
    const at = this.#free.indexOf(socket);
    if (at >= 0) this.#free.splice(at, 1);
  }
}

/** The client's end of a connection, which serves one request at a time. */
class ClientSocket extends EventEmitter {
  connection: Connection | undefined;
  request: ClientRequest | undefined;
  isDestroyed = false;
  readonly #agent: Agent;

  constructor(agent: Agent) {
    super();
    this.#agent = agent;
    agent.keep(this);
  }

  /** Uses a connection that was opened for this socket. */
  open(connection: Connection): void {
    this.connection = connection;
    connection.handlers = {
      message: (message) => this.request?.receive(message as Message),
      closed: (code) => this.#ended(code),
    };
  }

  destroy(): void {
    if (this.isDestroyed) return;
    this.connection?.close();
    this.#ended("ECONNRESET");
  }

  #ended(code: string): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    this.#agent.forget(this);
    this.request?.disconnected(code === "end" ? "ECONNRESET" : code);
  }
}

class ClientRequest extends EventEmitter {
  reusedSocket = false;
  readonly #network: Network;
  readonly #own: Process;
  readonly #url: URL;
  readonly #options: RequestOptions;
  #body: Uint8Array<ArrayBuffer> | undefined;
  #socket: ClientSocket | undefined;
  #response: Response | undefined;
  #isOver = false;

  constructor(network: Network, own: Process, url: URL, options: RequestOptions) {
    super();
    this.#network = network;
    this.#own = own;
    this.#url = url;
    this.#options = options;
  }

  end(body?: Uint8Array<ArrayBuffer>): void {
    const { agent, signal } = this.#options;
    this.#body = body;
    signal.addEventListener("abort", this.#onAbort, { once: true });
    const kept = agent.take();
    const socket = kept ?? new ClientSocket(agent);
    this.reusedSocket = kept !== undefined;
    this.#socket = socket;
    socket.request = this;
    this.emit("socket", socket);
    if (kept !== undefined) return this.#send();
    const port = Number(this.#url.port === "" ? 443 : this.#url.port);
    this.#network.connect(this.#own, this.#url.hostname, port, (result) => {
      if ("code" in result) return this.destroy(toError(result.code));
      if (socket.isDestroyed) return result.close();
      socket.open(result);
      result.send({ kind: "hello" });
    });
  }

  destroy(error: Error): void {
    if (this.#isOver) return;
    this.#finish();
    this.#socket?.destroy();
    if (this.#response === undefined) this.emit("error", error);
    else this.#response.fail(error);
  }

  /** Ends the request together with its connection. */
  disconnected(code: string): void {
    this.destroy(toError(code));
  }

  receive(message: Message): void {
    if (this.#isOver) return;
    const { cert } = this.#options;
    switch (message.kind) {
      case "certificate": {
        const fault = this.#findFault(message.chain);
        if (fault !== undefined) return this.destroy(fault);
        this.#socket?.connection?.send({ kind: "finished", chain: cert === undefined ? undefined : readChain(cert) });
        this.#socket?.emit("secureConnect");
        return this.#send();
      }
      case "head":
        this.#response = new Response(message, (error) => this.destroy(error));
        return void this.emit("response", this.#response);
      case "piece":
        return this.#response?.add(message.bytes);
      case "end":
        return this.#ended();
    }
  }

  readonly #onAbort = (): void => {
    const { reason } = this.#options.signal;
    this.destroy(reason instanceof Error ? reason : new Error(String(reason)));
  };

  #send(): void {
    const { method, headers } = this.#options;
    const path = this.#url.pathname + this.#url.search;
    const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    const request: SentRequest = {
      method,
      path,
      headers: { host: this.#url.host, ...lower },
      body: this.#body?.slice(),
    };
    this.#socket?.connection?.send({ kind: "request", request });
  }

  #ended(): void {
    this.#finish();
    const socket = this.#socket!;
    socket.request = undefined;
    this.#response?.end();
    if (!socket.isDestroyed) this.#options.agent.giveBack(socket);
  }

  #finish(): void {
    this.#isOver = true;
    this.#options.signal.removeEventListener("abort", this.#onAbort);
  }

  #findFault(chain: Chain): Error | undefined {
    const { ca, rejectUnauthorized, servername, agent } = this.#options;
    if (rejectUnauthorized === false) return undefined;
    const roots = ca === undefined ? undefined : parseCaBundle(ca);
    const [leaf, ...issuers] = chain.map((der) => parseCertificate(der));
    if (leaf?.ok !== true || roots?.ok !== true) return toError("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    const now = this.#own.clock.now();
    if (leaf.value.notAfter < now) return toError("CERT_HAS_EXPIRED");
    if (leaf.value.notBefore > now) return toError("CERT_NOT_YET_VALID");
    const path = verifyChain(leaf.value, issuers.flatMap((one) => one.ok ? [one.value] : []), roots.value, {
      at: now,
      usage: "server",
    });
    if (!path.ok) return toError("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    const shown = { raw: Buffer.from(leaf.value.der) } as unknown as ShownCertificate;
    return agent.checkServerIdentity(servername ?? this.#url.hostname, shown);
  }
}

/** An answer, which is read while it arrives. */
class Response {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly #pieces: Uint8Array[] = [];
  readonly #destroy: (error: Error) => void;
  #isWhole = false;
  #fault: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(
    head: { readonly status: number; readonly headers: Readonly<Record<string, string>> },
    destroy: (error: Error) => void,
  ) {
    this.statusCode = head.status;
    this.headers = head.headers;
    this.#destroy = destroy;
  }

  add(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#wake?.();
  }

  end(): void {
    this.#isWhole = true;
    this.#wake?.();
  }

  fail(error: Error): void {
    this.#fault = error;
    this.#wake?.();
  }

  /** Closes the connection, because the answer is not read to its end. */
  destroy(): void {
    this.#destroy(toError("ECONNRESET"));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    while (true) {
      for (let piece = this.#pieces.shift(); piece !== undefined; piece = this.#pieces.shift()) yield piece;
      if (this.#fault !== undefined) throw this.#fault;
      if (this.#isWhole) return;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

function toError(code: string): Error {
  return Object.assign(new Error(`simulated ${code}`), { code });
}
