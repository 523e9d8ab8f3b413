/** Sends one exchange to one server and reads the answer as it arrives. */
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { constants, gunzipSync } from "node:zlib";
import { encodeEnvelope } from "../../../core/kube/wire/protobuf_envelope.ts";
import { encodeMessage } from "../../../core/kube/wire/protobuf.ts";
import { decodeObject } from "../../../core/kube/wire/object_json.ts";
import { ALL_KINDS, deleteOptionsSchema } from "../../../core/kube/kinds/mod.ts";
import { formatApiVersion } from "../../../core/kube/schema.ts";
import type { RawAnswer } from "./answer.ts";
import { type Body, type Exchange, PLAIN, type Stream } from "./corpus.ts";
import type { Side } from "./sides.ts";
import { fillText, fillValue, type Variables } from "./variables.ts";

const ANSWER_TIMEOUT_MS = 60_000;
const STREAM_TIMEOUT_MS = 60_000;

/** A request that was sent, with its placeholders filled. */
export interface Sent {
  readonly method: string;
  readonly target: string;
  /** Without parameters; empty if there is none. */
  readonly contentType: string;
  readonly hasBody: boolean;
  /** The members of DeleteOptions in the body, which count as parameters. */
  readonly bodyMembers: readonly string[];
}

/**
 * Sends an exchange. `whileOpen` runs once the headers of a stream and the events that it waits for have arrived.
 * Rejects if there is no answer in time.
 */
export async function send(
  side: Side,
  exchange: Exchange,
  variables: Variables,
  whileOpen: () => Promise<void>,
): Promise<{ readonly sent: Sent; readonly answer: RawAnswer }> {
  const [method = "", target = ""] = splitOnce(fillText(exchange.send, variables), " ");
  const body = exchange.body === undefined ? undefined : encodeBody(exchange.body, variables);
  const headers = toHeaders(side, exchange, body, variables);
  const response = await open(side, exchange, method, target, headers, body?.bytes);
  try {
    const read = exchange.stream === undefined || response.statusCode !== 200
      ? await readAll(response)
      : await readStream(response, exchange.stream, whileOpen, target.includes("sendInitialEvents=true"));
    return {
      sent: toSentRequest(exchange, method, target, headers, variables),
      answer: { status: response.statusCode ?? 0, headers: headerValues(response.rawHeaders), ...read },
    };
  } finally {
    response.destroy();
  }
}

/** Sends a request as the administrator, outside of the comparison, and returns the JSON of its answer. */
export async function administer(side: Side, line: string, value?: unknown): Promise<unknown> {
  const body = value === undefined ? undefined : { form: "json", value } as const;
  const { answer } = await send(side, { ...PLAIN, id: line, send: line, body }, {}, () => Promise.resolve());
  const text = Buffer.from(answer.body).toString("utf8");
  if (answer.status >= 300) throw new Error(`${line}: ${side.name}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

function toSentRequest(
  { body }: Exchange,
  method: string,
  target: string,
  headers: Readonly<Record<string, string | string[]>>,
  variables: Variables,
): Sent {
  const contentType = Object.entries(headers).find(([name]) => name.toLowerCase() === "content-type")?.[1] ?? "";
  const isOptions = method === "DELETE" && (body?.form === "json" || body?.form === "protobuf");
  const options = isOptions ? fillValue(body.value, variables) : undefined;
  return {
    method,
    target,
    contentType: String(contentType).split(";")[0]!.trim(),
    hasBody: body !== undefined,
    bodyMembers: typeof options === "object" && options !== null ? Object.keys(options) : [],
  };
}

function open(
  side: Side,
  exchange: Exchange,
  method: string,
  path: string,
  headers: Record<string, string | string[]>,
  body: Uint8Array | undefined,
): Promise<IncomingMessage> {
  const { agent } = side.getCredential(exchange.as);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`${exchange.id}: ${side.name} does not answer`));
      outgoing.destroy();
    }, ANSWER_TIMEOUT_MS);
    const outgoing = request({ host: "127.0.0.1", port: side.port, agent, method, path, headers }, (response) => {
      clearTimeout(timer);
      resolve(response);
    });
    // Errors after the answer are ignored: a server may close before it has read a body that is too long.
    outgoing.on("error", (cause) => {
      clearTimeout(timer);
      reject(new Error(`${exchange.id}: ${side.name}: ${cause.message}`, { cause }));
    });
    outgoing.end(body);
  });
}

function toHeaders(
  side: Side,
  exchange: Exchange,
  body: EncodedBody | undefined,
  variables: Variables,
): Record<string, string | string[]> {
  const { authorization } = side.getCredential(exchange.as);
  const headers: Record<string, string | string[]> = { "User-Agent": "comparison/v1" };
  if (authorization !== undefined) headers["Authorization"] = authorization;
  if (body?.contentType !== undefined) headers["Content-Type"] = body.contentType;
  for (const [name, value] of Object.entries(exchange.headers)) {
    const sent = Object.keys(headers).find((known) => known.toLowerCase() === name.toLowerCase()) ?? name;
    headers[sent] = typeof value === "string"
      ? fillText(value, variables)
      : value.map((one) => fillText(one, variables));
  }
  const isChunked = Object.keys(headers).some((name) => name.toLowerCase() === "transfer-encoding");
  if (body !== undefined && !isChunked) headers["Content-Length"] = String(body.bytes.length);
  return headers;
}

interface EncodedBody {
  readonly bytes: Uint8Array;
  readonly contentType: string | undefined;
}

function encodeBody(body: Body, variables: Variables): EncodedBody {
  switch (body.form) {
    case "json":
      return { bytes: textBytes(JSON.stringify(fillValue(body.value, variables))), contentType: "application/json" };
    case "protobuf":
      return {
        bytes: encodeProtobuf(fillValue(body.value, variables)),
        contentType: "application/vnd.kubernetes.protobuf",
      };
    case "yaml":
      return { bytes: textBytes(fillText(body.value, variables)), contentType: "application/yaml" };
    case "text":
      return { bytes: textBytes(fillText(body.value, variables)), contentType: undefined };
    case "base64":
      return { bytes: Buffer.from(fillText(body.value, variables), "base64"), contentType: undefined };
  }
}

/** Writes an object as protobuf. Throws an Error for a kind or a value that has no protobuf form. */
export function encodeProtobuf(value: unknown): Uint8Array {
  const object = value as { readonly apiVersion: string; readonly kind: string };
  const kind = ALL_KINDS.find((one) => formatApiVersion(one) === object.apiVersion && one.kind === object.kind);
  const list = ALL_KINDS.find((one) => formatApiVersion(one) === object.apiVersion && one.listKind === object.kind);
  const schema = kind?.schema ?? list?.listSchema ??
    (object.kind === "DeleteOptions" ? deleteOptionsSchema : undefined);
  if (schema === undefined) throw new Error(`no protobuf description of ${object.apiVersion} ${object.kind}`);
  return encodeEnvelope(object.apiVersion, object.kind, encodeMessage(schema, decodeObject(schema, object).object));
}

async function readAll(response: IncomingMessage): Promise<Pick<RawAnswer, "body">> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response) chunks.push(chunk as Uint8Array);
  return { body: Buffer.concat(chunks) };
}

/**
 * Reads until there are enough events, the server ends the stream, or time is up. Periodic bookmarks do not count if
 * the stream must have one at the end of its initial events.
 */
async function readStream(
  response: IncomingMessage,
  { events, after }: Stream,
  whileOpen: () => Promise<void>,
  hasInitialEvents: boolean,
): Promise<Pick<RawAnswer, "body" | "end">> {
  const isProtobuf = (response.headers["content-type"] ?? "").includes("protobuf");
  const isCompressed = response.headers["content-encoding"] === "gzip";
  const split = (bytes: Buffer) => {
    const { whole, rest } = splitEvents(bytes, isProtobuf);
    return { whole: hasInitialEvents ? whole.filter((event) => !isPeriodicBookmark(event)) : whole, rest };
  };
  let body = Buffer.alloc(0);
  let end: RawAnswer["end"];
  const begun = Promise.withResolvers<void>();
  const finished = new Promise<void>((resolve) => {
    const timer = setTimeout(() => stop("timeout"), STREAM_TIMEOUT_MS);
    const stop = (how: NonNullable<RawAnswer["end"]>) => {
      clearTimeout(timer);
      end ??= how;
      begun.resolve();
      resolve();
    };
    const checkEvents = () => {
      const count = split(plain(body)).whole.length;
      if (count >= after) begun.resolve();
      if (typeof events === "number" && count >= events) stop("events");
    };
    const plain = (bytes: Buffer): Buffer => isCompressed ? gunzipStarted(bytes) : bytes;
    response.on("data", (chunk: Uint8Array) => {
      if (end !== undefined) return;
      body = Buffer.concat([body, chunk]);
      checkEvents();
    });
    response.on("end", () => stop("server"));
    response.on("error", () => stop("server"));
    checkEvents();
  });
  await begun.promise;
  await whileOpen();
  await finished;
  const { whole, rest } = split(body);
  const isEnough = typeof events === "number" && whole.length >= events;
  const read = Buffer.concat(isEnough ? whole.slice(0, events) : [...whole, rest]);
  // A compressed body is kept whole, because it cannot be cut between events.
  return { body: isCompressed ? body : read, end: end ?? "timeout" };
}

function gunzipStarted(bytes: Buffer): Buffer {
  return bytes.length === 0 ? bytes : gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
}

/** Splits the bytes of a stream into whole events and the rest. */
function splitEvents(body: Buffer, isProtobuf: boolean): { readonly whole: readonly Buffer[]; readonly rest: Buffer } {
  const whole: Buffer[] = [];
  let at = 0;
  for (;;) {
    const end = isProtobuf
      ? at + 4 + (at + 4 <= body.length ? body.readUInt32BE(at) : 0)
      : body.indexOf(10, at) < 0
      ? Infinity
      : body.indexOf(10, at) + 1;
    if (end > body.length) return { whole, rest: body.subarray(at) };
    whole.push(body.subarray(at, end));
    at = end;
  }
}

/** The type is the first member of an event, in both forms. */
function isPeriodicBookmark(event: Buffer): boolean {
  return event.subarray(0, 20).includes("BOOKMARK") && !event.includes("k8s.io/initial-events-end");
}

function headerValues(raw: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const values: Record<string, string[]> = {};
  for (let index = 0; index + 1 < raw.length; index += 2) {
    (values[raw[index]!.toLowerCase()] ??= []).push(raw[index + 1]!);
  }
  return values;
}

/** Splits a text at the first separator; without one the second part is empty. */
export function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function textBytes(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}
