/** Serves documents with conditions and ranges, like Go's `http.ServeContent`. */
import type { Answer, AnswerHeaders } from "./answer.ts";
import { type Exchange, findHeader } from "./exchange.ts";
import { createBaseHeaders, respondEmpty, respondText } from "./respond.ts";

export interface Content {
  readonly bytes: Uint8Array;
  readonly contentType: string;
  /** The entity tag in quotes. */
  readonly etag?: string;
  readonly modifiedAt: Date;
}

/** Answers with the document, a range of it, 304, 412 or 416. */
export function serveContent(exchange: Exchange, content: Content, extra: AnswerHeaders = {}): Promise<Answer> {
  const { bytes, contentType, etag, modifiedAt } = content;
  const validators = { ...extra, ...(etag === undefined ? {} : { etag }) };
  const dated = { ...validators, "last-modified": modifiedAt.toUTCString() };
  const outcome = evaluateConditions(exchange, content);
  // A 304 with an entity tag needs no date.
  if (outcome === "unmodified") return respondEmpty(exchange, 304, etag === undefined ? dated : validators);
  const typed = { ...dated, "content-type": contentType };
  if (outcome === "failed") return respondEmpty(exchange, 412, typed);
  const header = findHeader(exchange, "range") ?? "";
  const range = header === "" || !isRangeCurrent(exchange, content) ? undefined : parseRange(header, bytes.length);
  if (range === undefined) return respondContent(exchange, 200, bytes, { ...typed, "accept-ranges": "bytes" });
  if (range === "invalid") return respondText(exchange, 416, "invalid range\n", extra);
  if (range === "outside") {
    const headers = { ...extra, "content-range": `bytes */${bytes.length}` };
    return respondText(exchange, 416, "invalid range: failed to overlap\n", headers);
  }
  return respondContent(exchange, 206, bytes.subarray(range.start, range.end), {
    ...typed,
    "accept-ranges": "bytes",
    "content-range": `bytes ${range.start}-${range.end - 1}/${bytes.length}`,
  });
}

function respondContent(exchange: Exchange, status: number, bytes: Uint8Array, extra: AnswerHeaders): Promise<Answer> {
  const headers = createBaseHeaders(exchange, { ...extra, "content-length": String(bytes.length) });
  return Promise.resolve({ status, headers, body: bytes });
}

/** Evaluates the conditions in the order of RFC 9110, section 13.2.2. */
function evaluateConditions(exchange: Exchange, { etag, modifiedAt }: Content): "send" | "unmodified" | "failed" {
  const match = findHeader(exchange, "if-match");
  const unmodifiedSince = parseDate(findHeader(exchange, "if-unmodified-since"));
  if (match !== undefined) {
    if (!listsTag(match, etag)) return "failed";
  } else if (unmodifiedSince !== undefined && toSeconds(modifiedAt) > toSeconds(unmodifiedSince)) return "failed";
  const isRead = ["GET", "HEAD"].includes(exchange.incoming.method);
  const noneMatch = findHeader(exchange, "if-none-match");
  if (noneMatch !== undefined) {
    if (!listsTag(noneMatch, etag)) return "send";
    return isRead ? "unmodified" : "failed";
  }
  const modifiedSince = parseDate(findHeader(exchange, "if-modified-since"));
  const isOld = modifiedSince !== undefined && toSeconds(modifiedAt) <= toSeconds(modifiedSince);
  return isRead && isOld ? "unmodified" : "send";
}

/** Whether `If-Range` allows a range, which must belong to the version that the client has. */
function isRangeCurrent(exchange: Exchange, { etag, modifiedAt }: Content): boolean {
  const condition = findHeader(exchange, "if-range");
  if (condition === undefined) return true;
  if (condition.startsWith('"')) return condition === etag;
  const date = parseDate(condition);
  return date !== undefined && toSeconds(date) === toSeconds(modifiedAt);
}

function listsTag(list: string, etag: string | undefined): boolean {
  return list.split(",").map((tag) => tag.trim()).some((tag) =>
    tag === "*" || (etag !== undefined && tag.replace(/^W\//, "") === etag)
  );
}

function parseDate(text: string | undefined): Date | undefined {
  const date = new Date(text ?? "");
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function toSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

/** Parses a single range; several ranges are answered with the whole document, which RFC 9110 section 14.2 allows. */
function parseRange(
  header: string,
  size: number,
): { readonly start: number; readonly end: number } | "invalid" | "outside" | undefined {
  if (!header.startsWith("bytes=")) return "invalid";
  const ranges = header.slice("bytes=".length).split(",").map((part) => part.trim()).filter((part) => part !== "");
  if (ranges.length !== 1) return undefined;
  const found = /^(\d*)-(\d*)$/.exec(ranges[0]!);
  const [, first = "", last = ""] = found ?? [];
  if (found === null || (first === "" && last === "")) return "invalid";
  if (first === "") {
    const length = Math.min(Number(last), size);
    return { start: size - length, end: size };
  }
  const start = Number(first);
  if (start >= size) return "outside";
  if (last !== "" && Number(last) < start) return "invalid";
  return { start, end: last === "" ? size : Math.min(Number(last) + 1, size) };
}
