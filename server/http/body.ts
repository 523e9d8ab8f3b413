/** Request bodies: they are read up to the limit and decoded into canonical objects. */
import { Buffer } from "node:buffer";
import { DecodeError } from "../../core/kube/codec/decode.ts";
import { decodeUtf8 } from "../../core/kube/codec/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { goQuote } from "../../core/kube/quote.ts";
import { formatApiVersion, type Kind } from "../../core/kube/schema.ts";
import { badRequest, requestEntityTooLarge, type StatusError } from "../../core/kube/status.ts";
import type { Seat } from "../flowcontrol/flow_control.ts";
import { timeoutError } from "./deadline.ts";
import type { Exchange, IncomingRequest } from "./exchange.ts";
import { MAX_BODY_BYTES } from "./limits.ts";
import { UNVERSIONED_KINDS } from "./known_kinds.ts";
import type { MediaType } from "./negotiation.ts";
import { type Described, findKindFault, noKindText, readTypedBody, withDefaultNames } from "./typed_body.ts";

/** The handling of unknown and duplicate fields. */
export type FieldValidation = "Ignore" | "Warn" | "Strict";

/** The number of bytes that are read and discarded, so that a client that only writes can still read its 413. */
const MAX_DRAINED_BYTES = 8 * MAX_BODY_BYTES;

/**
 * Reads the whole body, and gives up the seat of the request meanwhile. Throws StatusError 413 beyond 3 MiB, 400 for a
 * truncated body, 504 when the request has timed out, and OverloadError when too many bytes are in memory at once.
 */
export async function readBody(
  { request, seat, isTimedOut }: Pick<Exchange, "request" | "seat" | "isTimedOut">,
): Promise<Uint8Array> {
  const bytes = await (seat === undefined ? readAll(request) : seat.yieldWhile(() => readAll(request, seat)));
  if (isTimedOut()) throw timeoutError();
  return bytes;
}

async function readAll(request: IncomingRequest, seat?: Pick<Seat, "holdBytes">): Promise<Uint8Array> {
  const declared = Number(request.headers.get("content-length") ?? "0");
  if (declared > MAX_DRAINED_BYTES) throw tooLarge();
  // Reading the body as a stream costs more than the rest of a small request.
  if (declared > 0 && declared <= MAX_BODY_BYTES) {
    seat?.holdBytes(declared);
    return new Uint8Array(await request.arrayBuffer().catch(refuseCutBody));
  }
  if (request.body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  const length = await drain(request.body, chunks, seat).catch(refuseCutBody);
  if (length > MAX_BODY_BYTES) throw tooLarge();
  return Buffer.concat(chunks);
}

/** Keeps the chunks within the limit, and returns the number of bytes that arrived. */
async function drain(
  body: ReadableStream<Uint8Array>,
  chunks: Uint8Array[],
  seat?: Pick<Seat, "holdBytes">,
): Promise<number> {
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length <= MAX_BODY_BYTES) {
      chunks.push(chunk);
      seat?.holdBytes(chunk.length);
    }
    if (length > MAX_DRAINED_BYTES) break;
  }
  return length;
}

/** A client that disconnects while it sends, or sends malformed chunks, is not an error of the server. */
function refuseCutBody(): never {
  throw badRequest("unexpected EOF");
}

/**
 * Decodes a body into a canonical object of the endpoint's kind. Throws StatusError 400; unknown and duplicate fields
 * become warnings or, with `Strict`, the refusal.
 */
export function decodeBody(
  exchange: Pick<Exchange, "warnings">,
  kind: Kind,
  mediaType: MediaType,
  bytes: Uint8Array,
  fieldValidation: FieldValidation,
): KubeObject {
  const read = readTypedBody(mediaType, bytes);
  if (!read.ok) {
    const what = `the object provided is unrecognized (must be of type ${kind.kind})`;
    throw badRequest(`${what}: ${read.error} (${summarize(bytes)})`);
  }
  const names = withDefaultNames(read.value, kind);
  const subject = `${names.kind} in version ${goQuote(names.version)} cannot be handled as a ${kind.kind}`;
  const handleStrict = (errors: readonly string[]): void => {
    if (fieldValidation === "Warn") exchange.warnings.addStrict(errors);
    if (fieldValidation === "Strict" && errors.length > 0) {
      throw badRequest(`${subject}: strict decoding error: ${errors.join(", ")}`);
    }
  };
  const fault = orRefuse(
    () => findKindFault(kind, names, read.value, () => decodeUtf8(bytes).toWellFormed(), handleStrict),
    `${subject}: `,
  );
  if (fault !== undefined) throw badRequest(fault);
  const { object, strictErrors } = orRefuse(() => read.value.decode(kind), `${subject}: `);
  handleStrict(strictErrors);
  return object;
}

/**
 * Decodes an options body such as DeleteOptions, which may come in any API version. Throws StatusError 400 with the
 * decoder's bare text.
 */
export function decodeOptionsBody<T extends object>(
  kind: Pick<Kind, "group" | "version" | "kind"> & Described<T>,
  mediaType: MediaType,
  bytes: Uint8Array,
): T {
  const read = readTypedBody(mediaType, bytes);
  if (!read.ok) throw badRequest(read.error);
  const named = read.value.kind;
  if (UNVERSIONED_KINDS.includes(named)) {
    throw badRequest(`converting (v1.${named}) to (v1.${kind.kind}): unknown conversion`);
  }
  if (named !== "" && named !== kind.kind) {
    throw badRequest(noKindText(read.value.apiVersion === "" ? formatApiVersion(kind) : read.value.apiVersion, named));
  }
  return orRefuse(() => read.value.decode(kind), "").object;
}

/** Runs a decoder, and turns its DecodeError into StatusError 400. */
function orRefuse<T>(decode: () => T, prefix: string): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(`${prefix}${error.message}`);
    throw error;
  }
}

/** Formats the first 30 bytes, as text when the body looks like JSON, else in hexadecimal. */
function summarize(bytes: Uint8Array): string {
  if (bytes.length === 0) return "<empty>";
  const head = bytes.subarray(0, 30);
  const shown = bytes[0] === 0x7b ? decodeUtf8(head).toWellFormed() : Buffer.from(head).toString("hex");
  return bytes.length > 30 ? `${shown} ...` : shown;
}

function tooLarge(): StatusError {
  return requestEntityTooLarge(`limit is ${MAX_BODY_BYTES}`);
}
