/** A request on its way through the pipeline, its headers, and the warnings for its client. */
import type { UserInfo } from "../../core/kube/user.ts";
import type { AuditTrail } from "./audit.ts";
import type { Seat } from "../flowcontrol/flow_control.ts";
import type { RequestInfo } from "./request_info.ts";
import { isIP } from "node:net";
import { Buffer } from "node:buffer";
import { versions } from "node:process";

/** The part of a `Request` that the server reads, so that in-process clients need not create a whole one. */
export interface IncomingRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Pick<Headers, "get">;
  /** The body as a stream, or null when there is none. */
  readonly body: ReadableStream<Uint8Array> | null;
  arrayBuffer(): Promise<ArrayBuffer>;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
}

/** The request as a handler gets it. */
export interface Exchange {
  readonly request: IncomingRequest;
  readonly query: URLSearchParams;
  readonly info: RequestInfo;
  /** The user, after impersonation. */
  readonly user: UserInfo;
  readonly auditId: string;
  readonly warnings: Warnings;
  /** Called when the answer is a stream, with the promise of its end, which never rejects. */
  readonly onStream?: (ended: Promise<void>) => void;
  /** The audit trail of the request; absent when the request is not audited. */
  readonly audit?: AuditTrail;
  /** Returns a signal that aborts when the client disconnects, the request times out or the server stops; created lazily. */
  readonly signal: () => AbortSignal;
  /** Whether the request has timed out and was answered so; it must have no effect any more. */
  readonly isTimedOut: () => boolean;
  /** The seat of the request in flow control; absent for requests that are exempt. */
  readonly seat?: Seat;
  /** The first values of repeated headers, by lower-case name; `request.headers` joins all values. */
  readonly repeated?: ReadonlyMap<string, string>;
}

/** Finds the first value of a header; undefined when absent. */
export function findHeader({ request, repeated }: Exchange, name: string): string | undefined {
  return repeated?.get(name) ?? request.headers.get(name) ?? undefined;
}

/** Finds the first values of repeated headers in a flat list of names and values; undefined when none is repeated. */
export function findRepeatedHeaders(raw: readonly string[]): ReadonlyMap<string, string> | undefined {
  if (raw.length <= 2 * FEW_HEADERS && !hasRepeated(raw)) return undefined;
  const first = new Map<string, string>();
  const repeated = new Map<string, string>();
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]!.toLowerCase();
    const known = first.get(name);
    if (known === undefined) first.set(name, raw[index + 1]!);
    else repeated.set(name, known);
  }
  return repeated.size === 0 ? undefined : repeated;
}

/** Up to this number of headers, pairwise comparison is faster than a map. */
const FEW_HEADERS = 32;

function hasRepeated(raw: readonly string[]): boolean {
  for (let index = 2; index < raw.length; index += 2) {
    const name = raw[index]!;
    for (let before = 0; before < index; before += 2) {
      if (raw[before]!.length === name.length && raw[before]!.toLowerCase() === name.toLowerCase()) return true;
    }
  }
  return false;
}

/**
 * Finds the source addresses (apimachinery `util/net`, `SourceIPs`): those of `X-Forwarded-For` and `X-Real-Ip`, which any
 * client can set, and last the address of the connection.
 */
export function findSourceIps(exchange: Exchange, remoteAddress: string): readonly string[] {
  const forwarded = (findHeader(exchange, "x-forwarded-for") ?? "").split(",").map((part) => part.trim());
  const addresses = forwarded.filter((address) => isIP(address) !== 0);
  const real = findHeader(exchange, "x-real-ip")?.trim() ?? "";
  if (isIP(real) !== 0 && !addresses.includes(real)) addresses.push(real);
  const remote = remoteAddress.startsWith("::ffff:") ? remoteAddress.slice("::ffff:".length) : remoteAddress;
  if (isIP(remote) !== 0 && addresses.at(-1) !== remote) addresses.push(remote);
  return addresses;
}

/** When all warnings together exceed this number of characters, each warning is cut. */
const MAX_TOTAL = 4096;
const MAX_CUT = 256;

/** Deno writes header values as UTF-8; Node writes the low byte of each character. */
const WRITES_UTF8 = "deno" in versions;

/**
 * Collects the warnings of one request, each only once: header `Warning`, code 299 (RFC 7234 section 5.5, apiserver
 * `pkg/endpoints/filters/warning.go`).
 */
export class Warnings {
  /** The added texts; undefined for most requests, which have no warning. */
  #texts: Set<string> | undefined;
  /** The header values in the order of addition. */
  #sent: string[] = [];
  #length = 0;
  #isCutting = false;

  /** Adds a warning; a warning with control characters is not sent. */
  add(text: string): void {
    const texts = this.#texts ??= new Set();
    if (text === "" || texts.has(text) || (this.#isCutting && this.#length >= MAX_TOTAL)) return;
    texts.add(text);
    const characters = Array.from(text);
    if (!this.#isCutting && this.#length + characters.length > MAX_TOTAL) {
      this.#isCutting = true;
      this.#sent = [];
      this.#length = 0;
      for (const known of texts) this.#send(Array.from(known).slice(0, MAX_CUT));
    } else this.#send(this.#isCutting ? characters.slice(0, MAX_CUT) : characters);
  }

  /** Adds strict decoding errors. The repeated keys of YAML are one error of several lines, each a warning of its own. */
  addStrict(errors: readonly string[]): void {
    for (const error of errors) {
      const heading = HEADINGS.find((prefix) => error.startsWith(prefix));
      if (heading === undefined) this.add(error);
      else for (const line of error.slice(heading.length).split("\n")) this.add(line.trim());
    }
  }

  /** Returns the header values, such as `299 - "unknown field \"spec.foo\""`. */
  headers(): readonly string[] {
    return this.#sent;
  }

  #send(characters: readonly string[]): void {
    const text = characters.join("");
    if (CONTROLS.test(text)) return;
    this.#length += characters.length;
    this.#sent.push(headerText(`299 - "${text.replace(/([\\"])/g, "\\$1")}"`));
  }
}

const CONTROLS = /\p{Cc}/u;
const HEADINGS = ["yaml: unmarshal errors:\n", "error converting YAML to JSON: yaml: unmarshal errors:\n"];

function headerText(text: string): string {
  const wellFormed = text.toWellFormed();
  // Deno accepts only characters of Latin-1 in a header.
  if (WRITES_UTF8) return wellFormed.replace(/[\u{100}-\u{10ffff}]/gu, "?");
  return Buffer.from(wellFormed, "utf8").toString("latin1");
}
