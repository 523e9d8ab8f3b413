/**
 * JSON requests over a Transport, as in client-go: typed errors from Status, Retry-After, limits on the size of
 * answers, and whole collections at one revision, page by page. Also the connections on which they are made.
 */
import { isRecord, tryParseJson } from "../../core/lib/record.ts";
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import type { KubeList, KubeObject, ListMeta } from "../../core/kube/meta.ts";
import { errorFromStatus, StatusError } from "../../core/kube/status/status.ts";
import type { Clock, Transport, TransportRequest, TransportResponse } from "../../core/ports.ts";
import type { NodeNames } from "../../core/approval/evidence/inventory.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { FilePort } from "../files.ts";

/** One request. Its body is sent as JSON. */
export interface ApiRequest {
  readonly method: TransportRequest["method"];
  /** The path with its query. */
  readonly path: string;
  readonly body?: unknown;
  /** The content type of the body. Default: `application/json`. */
  readonly contentType?: string;
}

/** Typed requests to any Kubernetes API. Failures are the AppErrors of `core/kube/status/status.ts` and of the transport. */
export interface ApiClient {
  /** Sends a request and returns the successful answer without reading its body, for watches. */
  open(request: ApiRequest, signal: AbortSignal): Promise<TransportResponse>;
  /** Sends a request and returns the body as text. */
  requestText(request: ApiRequest, signal: AbortSignal): Promise<string>;
  /** Sends a request and returns the body as JSON. */
  requestJson(request: ApiRequest, signal: AbortSignal): Promise<unknown>;
  /** Sends a request and returns the body as one object. */
  requestObject<T extends KubeObject>(request: ApiRequest, signal: AbortSignal): Promise<T>;
  /** Sends a request and returns the body as a list. Items that are `null` are an empty list. */
  requestList<T extends KubeObject>(request: ApiRequest, signal: AbortSignal): Promise<KubeList<T>>;
}

/** The options of a client, besides its transport. */
export interface ApiClientOptions {
  /** Waits for the time of Retry-After. */
  readonly clock: Clock;
}

/** The number of retries, as client-go's `rest.maxRetries`. */
const MAX_RETRIES = 10;
/** Larger than any list of our kinds: a page has 500 objects of at most 1.5 MB, in practice about 2 KB each. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;
/** No server sends a longer time, and a hostile answer must not stop a client for days. */
const MAX_RETRY_AFTER_SECONDS = 300;

/** Creates a client over a transport. */
export function createApiClient(transport: Transport, options: ApiClientOptions): ApiClient {
  const open: ApiClient["open"] = async (request, signal) => {
    for (let retries = 0;; retries++) {
      const answer = await transport.send(encodeRequest(request), signal);
      if (answer.status >= 200 && answer.status < 300) return answer;
      const waitSeconds = findRetryAfterSeconds(answer);
      if (waitSeconds === undefined || retries >= MAX_RETRIES) throw await decodeFailure(request, answer);
      await readBody(answer);
      await options.clock.sleep(waitSeconds * 1000, signal);
    }
  };
  const requestText: ApiClient["requestText"] = async (request, signal) => await readBody(await open(request, signal));
  const requestJson: ApiClient["requestJson"] = async (request, signal) => {
    const answer = await open(request, signal);
    return answer.value ?? parseJson(request, await readBody(answer));
  };
  return {
    open,
    requestText,
    requestJson,
    requestObject: async <T extends KubeObject>(request: ApiRequest, signal: AbortSignal) =>
      decodeApiObject<T>(await requestJson(request, signal), request.path),
    requestList: async <T extends KubeObject>(request: ApiRequest, signal: AbortSignal) =>
      decodeList<T>(await requestJson(request, signal), request.path),
  };
}

/** Checks the fields that all API objects have in common; `source` appears in the error. */
export function decodeApiObject<T extends KubeObject>(value: unknown, source: string): T {
  // The other fields are not checked: the types describe what Kubernetes guarantees for the requested kind.
  if (isKubeObject(value)) return value as T;
  throw new AppError("api_error", `cannot read the answer to "${source}": it is not an object of the Kubernetes API`);
}

function decodeList<T extends KubeObject>(value: unknown, source: string): KubeList<T> {
  const items = isRecord(value) ? value["items"] ?? [] : undefined;
  if (!isRecord(value) || !Array.isArray(items)) {
    throw new AppError("api_error", `cannot read the answer to "${source}": it is not a list`);
  }
  const metadata: ListMeta = isRecord(value["metadata"]) ? value["metadata"] : {};
  return { metadata, items: items.map((item: unknown) => decodeApiObject<T>(item, source)) };
}

function encodeRequest(request: ApiRequest): TransportRequest {
  const headers: Record<string, string> = { accept: "application/json" };
  if (request.body === undefined) return { method: request.method, path: request.path, headers };
  headers["content-type"] = request.contentType ?? "application/json";
  return { method: request.method, path: request.path, headers, body: request.body };
}

async function decodeFailure(request: ApiRequest, answer: TransportResponse): Promise<AppError> {
  const text = await readBody(answer);
  // Only the status code of a proxy's error page counts.
  return errorFromStatus(answer.status, tryParseJson(text) ?? text, { method: request.method });
}

async function readBody(answer: TransportResponse): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let length = 0;
  for await (const chunk of answer.body) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) {
      throw new AppError("api_error", `cannot read the answer: it is longer than ${MAX_BODY_BYTES} bytes`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function parseJson(request: ApiRequest, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError("api_error", `cannot read the answer to "${request.path}": ${getErrorMessage(cause)}`, {
      cause,
      hint: "check that the server in the kubeconfig is a Kubernetes API",
    });
  }
}

function findRetryAfterSeconds(answer: TransportResponse): number | undefined {
  if (answer.status !== 429 && answer.status < 500) return undefined;
  const text = answer.headers["retry-after"] ?? "";
  return /^\d{1,9}$/.test(text) ? Math.min(Number(text), MAX_RETRY_AFTER_SECONDS) : undefined;
}

/** Returns the same transport, which also passes the text of each `Warning` header to `onWarning`. */
export function withWarnings(transport: Transport, onWarning: (text: string) => void): Transport {
  return {
    async send(request, signal) {
      const answer = await transport.send(request, signal);
      // RFC 9111 section 5.5: code, agent, quoted text.
      for (const [, text] of (answer.headers["warning"] ?? "").matchAll(/\b\d{3} \S+ "((?:[^"\\]|\\.)*)"/g)) {
        if (text !== undefined) onWarning(text.replace(/\\(.)/g, "$1"));
      }
      return answer;
    },
  };
}

/** Replaces the Accept header of every request, so that the server answers in another format. */
export function withAccept(transport: Transport, accept: string): Transport {
  return {
    send: (request, signal) => transport.send({ ...request, headers: { ...request.headers, accept } }, signal),
  };
}

function isKubeObject(value: unknown): value is KubeObject {
  return isRecord(value) && isRecord(value["metadata"]);
}

/** The number of objects in a page, as in client-go. */
const PAGE_SIZE = "500";

/** The parameters of a query, such as selectors. Undefined ones are left out. */
export type QueryParameters = Readonly<Record<string, string | undefined>>;

/** Yields the pages of a collection, each as `read` returns it. */
export async function* readPages<P extends { readonly metadata: ListMeta }>(
  collection: string,
  parameters: QueryParameters,
  read: (path: string) => Promise<P>,
): AsyncGenerator<P> {
  let next: string | undefined;
  do {
    // A continue token is for one version, so it must not be combined with another.
    const rest = next === undefined ? {} : { resourceVersion: undefined, continue: next };
    const page: P = await read(withQuery(collection, { ...parameters, ...rest, limit: PAGE_SIZE }));
    yield page;
    next = page.metadata.continue || undefined;
  } while (next !== undefined);
}

/** All objects of a collection at one revision. */
export interface Listing<T> {
  readonly items: readonly T[];
  /** The version from which a watch continues. */
  readonly resourceVersion: string;
}

/** Lists a collection page by page. When a continue token expires, it lists again in one piece, as client-go does. */
export async function listAll<T extends KubeObject>(
  api: ApiClient,
  collection: string,
  parameters: QueryParameters,
  signal: AbortSignal,
): Promise<Listing<T>> {
  const read = (path: string) => api.requestList<T>({ method: "GET", path }, signal);
  const items: T[] = [];
  let resourceVersion: string | undefined;
  try {
    for await (const page of readPages(collection, parameters, read)) {
      items.push(...page.items);
      resourceVersion = page.metadata.resourceVersion ?? "";
    }
    return { items, resourceVersion: resourceVersion ?? "" };
  } catch (error) {
    const isFirstPage = resourceVersion === undefined;
    if (!isGone(error) || isFirstPage) throw error;
    const { items, metadata } = await read(withQuery(collection, parameters));
    return { items, resourceVersion: metadata.resourceVersion ?? "" };
  }
}

/** The number of conflicts after which kubectl fails too. */
const MAX_CONFLICTS = 10;

/**
 * Reads an object, changes it and writes it; a conflict restarts this. `known` is the object as it was read before.
 * Returns the stored object; undefined, without writing, when `change` returns undefined.
 */
export async function changeObject<T extends KubeObject>(
  api: ApiClient,
  { path, subresource = "", known }: {
    readonly path: string;
    readonly subresource?: string;
    readonly known?: T | undefined;
  },
  change: (object: T) => T | undefined,
  signal: AbortSignal,
): Promise<T | undefined> {
  let object = known;
  for (let conflicts = 0;; conflicts++) {
    const body = change(object ?? await api.requestObject<T>({ method: "GET", path }, signal));
    if (body === undefined) return undefined;
    try {
      return await api.requestObject<T>({ method: "PUT", path: `${path}${subresource}`, body }, signal);
    } catch (error) {
      if (!isAppError(error, "conflict") || conflicts >= MAX_CONFLICTS) throw error;
      object = undefined;
    }
  }
}

/** Reports whether an error is 410: the requested version is older than the history. */
export function isGone(error: unknown): boolean {
  return error instanceof StatusError && (error.status.code === 410 || error.status.reason === "Expired");
}

/** Appends query parameters to a path, sorted as Go sorts them. */
export function withQuery(path: string, parameters: QueryParameters): string {
  const query = new URLSearchParams(
    Object.entries(parameters).filter((one): one is [string, string] => one[1] !== undefined),
  );
  query.sort();
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** The parts of a connection that are needed to read an API and to decide its requests. */
export interface ApiHandle {
  readonly transport: Transport;
  readonly api: ApiClient;
  /** Looks up the names and addresses of the server, which no node may have. Rejects while they are unknown. */
  readonly serverNames: () => Promise<NodeNames>;
}

/** A connection that was opened for a user of the command line. */
export interface ApiConnection extends ApiHandle, AsyncDisposable {
  /** The server and the credentials of the connection. */
  readonly cluster: ResolvedCluster;
  /** The files that the cluster names, such as its CA. */
  readonly files: FilePort;
}
