/**
 * A small Kubernetes API on a real TLS socket, for tests of the client. It has one collection with list, watch,
 * watch-list, get, create, update and delete, and hooks for faults. Tests put the results of decisions into it.
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { TLSSocket } from "node:tls";
import { encodeKubeconfigEntry } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { createIssuingCa, issueServing, type IssuingCa, type TestCertificate } from "./issuing_ca.ts";
import { listenOnLoopback } from "./loopback_server.ts";

/** A request as it arrived. */
export interface FakeRequest {
  readonly method: string;
  /** The path and query of the request, decoded. */
  readonly url: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
  /** The common name of the client certificate, if there was one. */
  readonly clientName: string | undefined;
}

/** An answer that a test gives. */
export interface FakeAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface FakeApiOptions {
  readonly ca?: IssuingCa;
  readonly serving?: Partial<TestCertificate>;
  /** The time around which the CA and the serving certificate are valid; by default the machine's. */
  readonly now?: Date;
}

export interface FakeApi extends AsyncDisposable {
  readonly server: string;
  readonly ca: IssuingCa;
  /** A kubeconfig for it, without credentials. */
  readonly kubeconfig: string;
  /** `METHOD path?query` of every request. */
  readonly requests: string[];
  readonly received: FakeRequest[];
  readonly objects: Map<string, KubeObject>;
  /** Called before the API; undefined lets the API answer. */
  intercept: ((request: FakeRequest) => Promise<FakeAnswer> | FakeAnswer | "destroy" | undefined) | undefined;
  /** Called after the answer to a creation. */
  onCreate: ((object: KubeObject) => void | Promise<void>) | undefined;
  watchList: boolean;
  /** Creates or replaces an object; sets uid and resourceVersion. */
  put<T extends KubeObject>(object: T): T;
  remove(name: string): void;
  /** Compacts the history: watches from an earlier revision get 410. */
  compact(): void;
  /** Cuts every open watch, or ends it cleanly. */
  endWatches(how: "cut" | "clean"): void;
  sendBookmarks(): void;
  /** Presents a certificate of another CA on all later connections. */
  showCertificateOf(other: IssuingCa): Promise<void>;
  /** Waits until one of the requests from index `from` on matches. */
  arrival(pattern: RegExp, from?: number): Promise<void>;
  readonly openWatches: number;
}

interface Event {
  readonly revision: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubeObject;
}

interface Watcher {
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
}

/** Starts the API on a free port of 127.0.0.1. */
export async function startFakeApi(options: FakeApiOptions = {}): Promise<FakeApi> {
  const ca = options.ca ?? await createIssuingCa(options.now ?? new Date());
  const serving = await issueServing(ca, options.serving);
  const events: Event[] = [];
  const watchers = new Set<Watcher>();
  const arrivals = new Set<() => void>();
  let revision = 1;
  let compacted = 0;

  const server = createServer(
    {
      cert: serving.certificatePem,
      key: serving.keyPem,
      ca: ca.caPem,
      requestCert: true,
      rejectUnauthorized: false,
      // Node closes an idle connection after five seconds, just when a slow test may use it.
      keepAliveTimeout: 0,
    },
    (request, response) => void handle(request, response),
  );

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    // A client may disconnect before its request is complete or answered.
    incoming.on("error", () => {});
    const request = await readRequest(incoming).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ECONNRESET") throw error;
    });
    if (request === undefined) return;
    api.requests.push(`${request.method} ${request.url}`);
    api.received.push(request);
    for (const wake of arrivals) wake();
    const given = api.intercept?.(request);
    const own = given instanceof Promise ? await given : given;
    if (own === "destroy") {
      incoming.socket.destroy();
      return;
    }
    if (own !== undefined) return answer(response, own);
    if (request.path === "/healthz") return answer(response, { status: 200, body: "ok" });
    if (request.query.get("watch") === "true") return watch(request, response);
    answer(response, respond(request));
  }

  function respond(request: FakeRequest): FakeAnswer {
    const name = decodeURIComponent(request.path.split("/")[request.path.startsWith("/apis/") ? 5 : 4] ?? "");
    const found = api.objects.get(name);
    if (request.method === "POST") return create(request.body as KubeObject);
    if (name === "") return list(request);
    if (found === undefined) return failure(404, "NotFound", `"${name}" not found`);
    if (request.method === "GET") return { status: 200, body: found };
    if (request.method === "DELETE") {
      api.remove(name);
      return { status: 200, body: { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" } };
    }
    const sent = request.body as KubeObject;
    if (sent.metadata.resourceVersion !== found.metadata.resourceVersion) {
      return failure(409, "Conflict", "the object has been modified");
    }
    return { status: 200, body: api.put(sent) };
  }

  function create(sent: KubeObject): FakeAnswer {
    const name = sent.metadata.name ?? `${sent.metadata.generateName}${revision}`;
    if (api.objects.has(name)) return failure(409, "AlreadyExists", `"${name}" already exists`);
    const object = api.put({ ...sent, metadata: { ...sent.metadata, name } });
    setImmediate(() => void api.onCreate?.(object));
    return { status: 201, body: object };
  }

  function list(request: FakeRequest): FakeAnswer {
    const all = [...api.objects.values()].filter((object) => isSelected(object, request.query));
    const limit = Number(request.query.get("limit") ?? 0);
    const start = Number(request.query.get("continue") ?? 0);
    const items = limit > 0 ? all.slice(start, start + limit) : all;
    const next = start + items.length < all.length ? { continue: String(start + items.length) } : {};
    return { status: 200, body: { kind: "List", metadata: { resourceVersion: String(revision), ...next }, items } };
  }

  function watch(request: FakeRequest, response: ServerResponse): void {
    const initial = request.query.get("sendInitialEvents") === "true";
    if (initial && !api.watchList) {
      const text = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
      return answer(response, failure(422, "Invalid", text));
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    const from = Number(request.query.get("resourceVersion") ?? 0);
    if (!initial && from < compacted) {
      send(response, "ERROR", failure(410, "Expired", `too old resource version: ${from} (${compacted})`).body);
      return void response.end();
    }
    const watcher = { response, query: request.query };
    if (initial) {
      for (const object of api.objects.values()) if (isSelected(object, request.query)) send(response, "ADDED", object);
      bookmark(watcher, { "k8s.io/initial-events-end": "true" });
    } else {
      for (const event of events) if (event.revision > from) deliver(watcher, event);
    }
    watchers.add(watcher);
    response.on("close", () => watchers.delete(watcher));
  }

  function record(type: Event["type"], object: KubeObject): void {
    const event = { revision, type, object };
    events.push(event);
    for (const watcher of watchers) deliver(watcher, event);
  }

  function deliver(watcher: Watcher, event: Event): void {
    if (isSelected(event.object, watcher.query)) send(watcher.response, event.type, event.object);
  }

  function bookmark(watcher: Watcher, annotations: Readonly<Record<string, string>> = {}): void {
    send(watcher.response, "BOOKMARK", { metadata: { resourceVersion: String(revision), annotations } });
  }

  const listening = await listenOnLoopback(server);
  const { port } = listening;

  const api: FakeApi = {
    server: `https://127.0.0.1:${port}`,
    kubeconfig: encodeKubeconfigEntry("fake", {
      cluster: { server: `https://127.0.0.1:${port}`, certificateAuthorityData: ca.caPem },
      userName: "u",
      user: {},
    }),
    ca,
    requests: [],
    received: [],
    objects: new Map(),
    intercept: undefined,
    onCreate: undefined,
    watchList: true,
    put<T extends KubeObject>(object: T): T {
      const name = object.metadata.name ?? "";
      const before = api.objects.get(name);
      revision++;
      const uid = before?.metadata.uid ?? object.metadata.uid ?? `uid-${revision}`;
      const stored = { ...object, metadata: { ...object.metadata, uid, resourceVersion: String(revision) } };
      api.objects.set(name, stored);
      record(before === undefined ? "ADDED" : "MODIFIED", stored);
      return stored;
    },
    remove(name) {
      const before = api.objects.get(name);
      if (before === undefined) return;
      revision++;
      api.objects.delete(name);
      record("DELETED", { ...before, metadata: { ...before.metadata, resourceVersion: String(revision) } });
    },
    compact() {
      events.length = 0;
      compacted = revision;
    },
    endWatches(how) {
      for (const { response } of watchers) {
        if (how === "cut") response.socket?.destroy();
        else response.end();
      }
      watchers.clear();
    },
    sendBookmarks() {
      for (const watcher of watchers) bookmark(watcher);
    },
    async showCertificateOf(other) {
      const { certificatePem, keyPem } = await issueServing(other, options.serving);
      server.setSecureContext({ cert: certificatePem, key: keyPem, ca: ca.caPem });
    },
    arrival(pattern, from = 0) {
      return new Promise((resolve) => {
        const look = (): void => {
          if (!api.requests.slice(from).some((request) => pattern.test(request))) return;
          arrivals.delete(look);
          resolve();
        };
        arrivals.add(look);
        look();
      });
    },
    get openWatches() {
      return watchers.size;
    },
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  };
  return api;
}

/** Creates an answer with a Status. */
export function failure(code: number, reason: string, message: string): FakeAnswer {
  const body = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code };
  return { status: code, body };
}

function isSelected(object: KubeObject, query: URLSearchParams): boolean {
  const selector = query.get("fieldSelector") ?? "";
  const { metadata: { name }, spec } = object as KubeObject & { readonly spec?: { readonly signerName?: string } };
  return ["", `metadata.name=${name}`, `spec.signerName=${spec?.signerName}`].includes(selector);
}

function send(response: ServerResponse, type: string, object: unknown): void {
  response.write(`${JSON.stringify({ type, object })}\n`);
}

function answer(response: ServerResponse, made: FakeAnswer): void {
  const text = typeof made.body === "string" ? made.body : JSON.stringify(made.body ?? {});
  response.writeHead(made.status, { "content-type": "application/json", ...made.headers });
  response.end(text);
}

async function readRequest(incoming: IncomingMessage): Promise<FakeRequest> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8");
  const url = new URL(incoming.url ?? "/", "https://fake");
  // Deno returns `null` where Node returns an empty object.
  const certificate = (incoming.socket as TLSSocket).getPeerCertificate?.() ?? {};
  return {
    method: incoming.method ?? "",
    url: decodeURIComponent(`${url.pathname}${url.search}`),
    path: url.pathname,
    query: url.searchParams,
    headers: incoming.headers,
    body: text === "" ? undefined : JSON.parse(text),
    clientName: certificate.subject?.CN?.toString(),
  };
}
