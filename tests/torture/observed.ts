/** Wraps connections so that their calls and watches are recorded in the history and in the ledger. */
import { Buffer } from "node:buffer";
import type { Connect } from "../../client/transport/connect.ts";
import { findErrorCode, getErrorMessage, isAppError } from "../../core/errors.ts";
import { isRecord } from "../../core/lib/record.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Clock, TransportRequest, TransportResponse } from "../../core/ports.ts";
import { parseRequestInfo, parseTarget, type RequestInfo } from "../../server/http/request_info.ts";
import {
  findWriteName,
  type HistoryWriter,
  type RecordedCall,
  type RecordedEvent,
  type RecordedList,
  type RecordedQuery,
  type RecordedTarget,
  type RecordedWrite,
  toHistoryTime,
  toRecordedState,
} from "./history.ts";
import type { Ledger } from "./ledger.ts";

interface ObserverOptions {
  readonly history: HistoryWriter;
  readonly clock: Pick<Clock, "elapsedMs">;
  readonly ledger?: Ledger;
  /** Called when a call or a watch begins; `kill` records a kill of its client. Calls the result at its end. */
  readonly onBegin?: (client: string, kill: () => void) => () => void;
}

/** Wraps the connections of a client, so that its calls are recorded under its name. */
export type Observe = (connect: Connect, client: string) => Connect;

const INITIAL_EVENTS_END = "k8s.io/initial-events-end";

/** Creates the wrapper of all clients of a run. */
export function createObserver(
  { history, clock, ledger, onBegin = () => () => {} }: ObserverOptions,
): Observe {
  let watches = 0;
  const now = (): number => toHistoryTime(clock.elapsedMs());

  function recordInLedger(verb: RecordedCall["verb"], value: unknown): void {
    if (ledger === undefined) return;
    if (verb === "delete") return ledger.acknowledge("deletion");
    if (isKubeObject(value)) {
      ledger.show(value);
      if (verb !== "get") ledger.acknowledge("write");
    } else if (isRecord(value) && Array.isArray(value["items"])) {
      for (const item of value["items"]) if (isKubeObject(item)) ledger.show(item);
      ledger.see(readRevision(value));
    }
  }

  async function call(
    { target, query, verb, sent }: Parsed,
    begin: number,
    send: () => Promise<TransportResponse>,
  ): Promise<TransportResponse> {
    const record = { kind: "call", begin, ...target, ...query, verb, ...sent === undefined ? {} : { sent } } as const;
    const unanswered = (): void => history.write({ ...record, end: now() });
    const ended = onBegin(target.client, unanswered);
    const answer = await send().catch((error: unknown) => {
      ended();
      if (!isUnsent(error)) unanswered();
      throw error;
    });
    return {
      ...answer,
      body: readWhole(answer.body, (text) => {
        ended();
        const value = text === undefined ? undefined : tryParse(text);
        if (value === undefined) return unanswered();
        history.write(toRecordedCall({ ...record, end: now(), status: answer.status }, value));
        if (answer.status < 300) recordInLedger(verb, value);
      }),
    };
  }

  async function watch(
    { target, query, sendInitialEvents }: Parsed,
    begin: number,
    send: () => Promise<TransportResponse>,
  ): Promise<TransportResponse> {
    const number = ++watches;
    const initial = sendInitialEvents ? { sendInitialEvents } : {};
    const record = { kind: "watch", watch: number, begin, ...target, ...query, ...initial } as const;
    let isOpen = false;
    const end = (): void => history.write({ kind: "end", watch: number, at: now() });
    const ended = onBegin(target.client, () => isOpen && end());
    const answer = await send().catch((error: unknown) => {
      ended();
      if (!isUnsent(error)) history.write({ ...record, end: now() });
      throw error;
    });
    const opened = { ...record, end: now(), status: answer.status };
    if (answer.status >= 300) {
      const body = readWhole(answer.body, (text) => {
        ended();
        const { reason } = readStatus(tryParse(text ?? ""));
        history.write({ ...opened, ...reason === undefined ? {} : { reason } });
      });
      return { ...answer, body };
    }
    history.write(opened);
    isOpen = true;
    const take = (line: string): void => {
      const event = toRecordedEvent(tryParse(line), number, now());
      // A truncated line does not count as received.
      if (event === undefined) return;
      history.write(event.record);
      if (event.object !== undefined) ledger?.show(event.object);
      else if (event.record.revision !== undefined) ledger?.see(event.record.revision);
    };
    return {
      ...answer,
      body: readLines(answer.body, take, () => {
        ended();
        end();
      }),
    };
  }

  return (connect, client) => async (cluster) => {
    const transport = await connect(cluster);
    return {
      async send(request, signal) {
        const parsed = parseRequest(request, client);
        const send = (): Promise<TransportResponse> => transport.send(request, signal);
        if (parsed === undefined) return await send();
        return await (parsed.info.verb === "watch" ? watch(parsed, now(), send) : call(parsed, now(), send));
      },
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    };
  };
}

/**
 * Reports whether an error proves that a request was not sent: the server refused the connection, closed it during the
 * handshake, or has an untrusted certificate.
 */
function isUnsent(error: unknown): boolean {
  if (!isAppError(error, "unreachable")) return isAppError(error, "tls_untrusted");
  return findErrorCode(error.cause) === "ECONNREFUSED" || BEFORE_TLS.test(getErrorMessage(error.cause));
}

/** The message of Node and Deno for a connection that was closed during the handshake; its code is ECONNRESET. */
const BEFORE_TLS = /before secure TLS connection was established/;

interface Parsed {
  readonly info: RequestInfo;
  readonly target: RecordedTarget;
  readonly verb: RecordedCall["verb"];
  readonly query: RecordedQuery;
  readonly sendInitialEvents: boolean;
  readonly sent: RecordedWrite | undefined;
}

/** Parses a request; returns undefined for dry runs and for paths that are not resources. */
function parseRequest(request: TransportRequest, client: string): Parsed | undefined {
  const { path, query } = parseTarget(request.path);
  const info = parseRequestInfo(request.method, path ?? "", query);
  if (!info.isResourceRequest || query.has("dryRun")) return undefined;
  const isApply = /apply-patch/.test(request.headers["content-type"] ?? "");
  const { body } = request;
  const text = (name: string): string | undefined => query.get(name) ?? undefined;
  const limit = Number(query.get("limit") ?? 0);
  const isCollection = ["list", "watch", "deletecollection"].includes(info.verb);
  return {
    info,
    target: dropUndefined({
      client,
      resource: info.apiGroup === "" ? info.resource : `${info.resource}.${info.apiGroup}`,
      namespace: info.namespace || undefined,
      name: isCollection ? undefined : info.name || findName(body),
      subresource: info.subresource || undefined,
    }),
    verb: (isApply ? "apply" : info.verb) as RecordedCall["verb"],
    query: dropUndefined({
      resourceVersion: text("resourceVersion"),
      resourceVersionMatch: text("resourceVersionMatch"),
      continue: text("continue"),
      limit: limit > 0 ? limit : undefined,
      labelSelector: text("labelSelector"),
      fieldSelector: text("fieldSelector"),
    }),
    sendInitialEvents: query.get("sendInitialEvents") === "true",
    sent: isRecord(body) ? toRecordedWrite(body) : undefined,
  };
}

function findName(body: unknown): string | undefined {
  const metadata = isRecord(body) ? body["metadata"] : undefined;
  const name = isRecord(metadata) ? metadata["name"] : undefined;
  return typeof name === "string" ? name : undefined;
}

function toRecordedWrite(body: Readonly<Record<string, unknown>>): RecordedWrite | undefined {
  const guards = [body["preconditions"], body["metadata"]].find(isRecord) ?? {};
  const text = (name: string): string | undefined => {
    const value = guards[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const write = { uid: text("uid"), resourceVersion: text("resourceVersion"), write: findWriteName(body) };
  return Object.values(write).every((value) => value === undefined) ? undefined : dropUndefined(write);
}

function toRecordedCall(call: RecordedCall, value: unknown): RecordedCall {
  if ((call.status ?? 0) >= 300) return { ...call, ...readStatus(value) };
  if (isKubeObject(value)) return { ...call, object: toRecordedState(value) };
  const list = toRecordedList(value);
  if (list !== undefined) return { ...call, list };
  const details = isRecord(value) ? value["details"] : undefined;
  const deleted = isRecord(details) ? details["uid"] : undefined;
  return typeof deleted === "string" ? { ...call, deleted } : call;
}

function toRecordedList(value: unknown): RecordedList | undefined {
  if (!isRecord(value) || !Array.isArray(value["items"]) || !isRecord(value["metadata"])) return undefined;
  const { continue: token, remainingItemCount } = value["metadata"];
  return {
    resourceVersion: readRevision(value),
    ...(typeof token === "string" && token !== "" ? { continue: token } : {}),
    ...(typeof remainingItemCount === "number" ? { remaining: remainingItemCount } : {}),
    items: value["items"].filter(isKubeObject).map(toRecordedState),
  };
}

function toRecordedEvent(
  value: unknown,
  watch: number,
  at: number,
): { readonly record: RecordedEvent; readonly object?: KubeObject } | undefined {
  if (!isRecord(value) || !isRecord(value["object"])) return undefined;
  const { type, object } = value as { readonly type: RecordedEvent["type"]; readonly object: unknown };
  const event = { kind: "event", watch, at, type } as const;
  if (type === "ERROR") return { record: { ...event, status: Number((object as { readonly code?: number }).code) } };
  if (type === "BOOKMARK") {
    const { annotations, resourceVersion } = (object as KubeObject).metadata;
    const isEnd = annotations?.[INITIAL_EVENTS_END] === "true";
    const revision = Number(resourceVersion);
    return { record: { ...event, revision, ...isEnd ? { initialEventsEnd: true } : {} } };
  }
  return isKubeObject(object) ? { record: { ...event, object: toRecordedState(object) }, object } : undefined;
}

/** Reads the revision of a list; 0 if it has none. */
function readRevision({ metadata }: Readonly<Record<string, unknown>>): number {
  return isRecord(metadata) ? Number(metadata["resourceVersion"] ?? 0) : 0;
}

function readStatus(value: unknown): { readonly reason?: string } {
  const reason = isRecord(value) ? value["reason"] : undefined;
  return typeof reason === "string" ? { reason } : {};
}

function isKubeObject(value: unknown): value is KubeObject {
  const metadata = isRecord(value) ? value["metadata"] : undefined;
  return isRecord(metadata) && typeof metadata["uid"] === "string" && typeof metadata["resourceVersion"] === "string";
}

/** Passes a body on, and then calls `take` with its text, or with undefined if the body was cut off. */
async function* readWhole(
  body: AsyncIterable<Uint8Array>,
  take: (text: string | undefined) => void,
): AsyncGenerator<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let isWhole = false;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      yield chunk;
    }
    isWhole = true;
  } finally {
    take(isWhole ? Buffer.concat(chunks).toString("utf8") : undefined);
  }
}

/** Passes a body on, but first calls `take` with each complete line, because the reader may act on it at once. */
async function* readLines(
  body: AsyncIterable<Uint8Array>,
  take: (line: string) => void,
  end: () => void,
): AsyncGenerator<Uint8Array> {
  let rest = "";
  try {
    for await (const chunk of body) {
      // A UTF-8 character may be split between two chunks, but a byte cannot.
      const lines = (rest + Buffer.from(chunk).toString("latin1")).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) take(Buffer.from(line, "latin1").toString("utf8"));
      yield chunk;
    }
  } finally {
    end();
  }
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Removes undefined fields, which must not appear in the lines. */
function dropUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as never;
}
