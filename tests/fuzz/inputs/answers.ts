/** Parses the HTTP/1.1 answers of a connection; each must be well-formed. */
import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import type { Bytes } from "../target.ts";

/** An answer; the body is empty if it was truncated. */
interface WireAnswer {
  readonly code: number;
  readonly contentType: string;
  readonly body: string;
}

const STATUS_LINE = /^HTTP\/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?$/;
const HEADER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n]*$/;

/** Reads all answers; throws an Error for malformed bytes. The last answer may be truncated, as that of a watch. */
export function readAnswers(bytes: Bytes): readonly WireAnswer[] {
  const answers: WireAnswer[] = [];
  let rest: Buffer = Buffer.from(bytes);
  while (rest.length > 0) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) throw new Error(`the head of an answer has no end: ${show(rest)}`);
    const [line = "", ...lines] = rest.subarray(0, end).toString("latin1").split("\r\n");
    const code = Number(STATUS_LINE.exec(line)?.[1]);
    if (Number.isNaN(code)) throw new Error(`not a status line: ${show(rest)}`);
    const odd = lines.find((header) => !HEADER.test(header));
    if (odd !== undefined) throw new Error(`not a header: ${JSON.stringify(odd)}`);
    const headers = new Map(
      lines.map((header) => [parseHeaderName(header), header.slice(header.indexOf(":") + 1).trim()]),
    );
    rest = rest.subarray(end + 4);
    const read = code < 200 || code === 204 || code === 304 ? { body: Buffer.alloc(0), rest } : readBody(headers, rest);
    if (read === undefined) return [...answers, { code, contentType: "", body: "" }];
    rest = read.rest;
    if (code < 200) continue;
    const body = headers.get("content-encoding") === "gzip" ? gunzipSync(read.body) : read.body;
    answers.push({ code, contentType: headers.get("content-type") ?? "", body: body.toString() });
  }
  return answers;
}

function parseHeaderName(header: string): string {
  return header.slice(0, header.indexOf(":")).toLowerCase();
}

/** Reads a body; returns undefined if it is incomplete, as in the last answer to HEAD. */
function readBody(
  headers: ReadonlyMap<string, string>,
  bytes: Buffer,
): { readonly body: Buffer; readonly rest: Buffer } | undefined {
  const length = headers.get("content-length");
  if (length !== undefined) {
    const size = Number(length);
    if (bytes.subarray(0, 5).toString() === "HTTP/") return { body: Buffer.alloc(0), rest: bytes };
    return size > bytes.length ? undefined : { body: bytes.subarray(0, size), rest: bytes.subarray(size) };
  }
  if (headers.get("transfer-encoding") !== "chunked") return { body: bytes, rest: Buffer.alloc(0) };
  const chunks: Buffer[] = [];
  for (let at = 0;;) {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) return undefined;
    const text = bytes.subarray(at, end).toString("latin1");
    if (!/^[0-9a-f]+$/i.test(text)) {
      if (text.startsWith("HTTP/")) return { body: Buffer.alloc(0), rest: bytes };
      throw new Error(`not a chunk: ${JSON.stringify(text.slice(0, 80))}`);
    }
    const size = Number.parseInt(text, 16);
    const next = end + 2 + size + 2;
    if (next > bytes.length) return undefined;
    if (size === 0) return { body: Buffer.concat(chunks), rest: bytes.subarray(next) };
    chunks.push(bytes.subarray(end + 2, end + 2 + size));
    at = next;
  }
}

function show(bytes: Buffer): string {
  return JSON.stringify(bytes.subarray(0, 120).toString("latin1"));
}
