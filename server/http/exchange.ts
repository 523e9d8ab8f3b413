/** A request on its way through the pipeline, its headers, and the warnings for its client. */
import type { UserInfo } from "../../core/kube/user.ts";
import { isAscii } from "../../core/pki/asn1/der_text.ts";
import type { Clock } from "../../core/ports.ts";
import type { AuditTrail } from "./audit.ts";
import type { Seat } from "../flowcontrol/flow_control.ts";
import type { PeerCertificate } from "../authn/authentication.ts";
import type { OpenStream } from "../authn/reauthentication.ts";
import { parseRequestInfo, type RequestInfo, type RequestTarget } from "./request_info.ts";
import { LARGE_BODY_BYTES } from "./limits.ts";
import { isIP } from "node:net";
import { Buffer } from "node:buffer";
import { versions } from "node:process";
import { setImmediate } from "node:timers/promises";

/** Notifies a connection about one of its requests. */
export interface RequestConnection {
  authenticated(user: string): void;
  /** The answer is a stream that lasts as long as the client wants. */
  markStreaming(): void;
}

/** A request as it arrives, over any protocol, and its client. */
export interface Incoming {
  readonly method: string;
  /** The unparsed path and query, with dot segments and escapes. */
  readonly target: string;
  /** The unparsed headers, as a flat list of names and values in which repeated headers stay separate. */
  readonly rawHeaders: readonly string[];
  readonly peer: PeerCertificate | undefined;
  /** The client's address without its port. */
  readonly remoteAddress: string;
  /** The user of an in-process client, which needs no authentication. */
  readonly user?: UserInfo | undefined;
  /** Whether the request came over HTTP/2, where an unauthenticated client gets one answer per connection. */
  readonly isHttp2?: boolean;
  /** The connection of the request; absent for in-process clients. */
  readonly connection?: RequestConnection | undefined;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
  /** The value of the body of a client in the same process, which is not changed; `readBody` passes its JSON. */
  readonly value?: unknown;
  /** Passes the body to `take` as it arrives, until `take` returns false. Rejects when the client sends only a part. */
  readBody(take: (piece: Uint8Array) => boolean): Promise<void>;
}

/** What is known about a request before its first step. */
export interface ExchangeStart {
  readonly incoming: Incoming;
  readonly target: RequestTarget;
  readonly clock: Clock;
  /** Creates the audit id of a request whose client sends none. */
  readonly createId: () => string;
  /** Aborts when the server stops. */
  readonly stopping: AbortSignal;
}

/** The longest pause between two steps, because the last step may have waited for the store. */
const MAX_PAUSE_MS = 200;

const NO_USER: UserInfo = { username: "", uid: "", groups: [], extra: {} };

/** The state of a request, which the steps of the pipeline fill in and pass to the handlers. */
export class Exchange {
  readonly incoming: Incoming;
  /** The unparsed path and query. */
  readonly requestUri: string;
  readonly query: URLSearchParams;
  readonly info: RequestInfo;
  readonly receivedAt: Date;
  readonly auditId: string;
  readonly warnings: Warnings = new Warnings();
  /** The credentials of the client and the user that they identified; undefined for in-process clients. */
  authenticated: Pick<OpenStream, "credentials" | "user"> | undefined;
  /** The annotations of these credentials for the audit log. */
  credentialAnnotations: Readonly<Record<string, string>> | undefined;
  /** The client is a node whose certificate has expired: it may only request its next one. */
  isRecovering = false;
  /** The user of the request, after impersonation. */
  user: UserInfo = NO_USER;
  /** The audit trail of the request; undefined when the request is not audited. */
  audit: AuditTrail | undefined;
  /** The seat of the request in flow control; undefined for requests that are exempt. */
  seat: Seat | undefined;
  /** Whether the answer is public, so that the request needs neither credentials nor permissions. */
  isPublic = false;
  /** Whether the connection is closed after the answer. */
  isLast = false;
  /** Whether the request has timed out; from then on it must have no effect. */
  isTimedOut = false;
  /** Resolves when a streamed answer ends, and never rejects. */
  streamEnded: Promise<void> | undefined;
  readonly #clock: Clock;
  readonly #stopping: AbortSignal;
  /** The size of the body, as soon as it has been read. */
  #bodyBytes = 0;
  /** The elapsed time of the clock when the current step of the request began, in milliseconds. */
  #stepStartedMs = 0;
  #expiry: AbortController | undefined;
  #signal: AbortSignal | undefined;

  constructor({ incoming, target, clock, createId, stopping }: ExchangeStart) {
    this.incoming = incoming;
    this.requestUri = target.requestUri;
    this.query = target.query;
    this.info = parseRequestInfo(incoming.method, target.path ?? "", target.query);
    this.receivedAt = clock.now();
    this.auditId = findHeader(this, "audit-id") || createId();
    this.#clock = clock;
    this.#stopping = stopping;
  }

  /** Returns a signal that aborts when the client disconnects, the request times out or the server stops. */
  readonly signal = (): AbortSignal => {
    this.#expiry ??= new AbortController();
    return this.#signal ??= AbortSignal.any([this.incoming.signal, this.#stopping, this.#expiry.signal]);
  };

  /** Records that the body has been read, and that the first step with it begins. */
  beginSteps(bodyBytes: number): void {
    this.#bodyBytes = bodyBytes;
    this.#stepStartedMs = this.#clock.elapsedMs();
  }

  /**
   * Pauses a request with a large body before its next step, for as long as the last step took, so that other requests
   * get half of the server's only thread. Other requests do not pause.
   */
  readonly pause = async (): Promise<void> => {
    if (this.#bodyBytes < LARGE_BODY_BYTES) return;
    const tookMs = Math.min(this.#clock.elapsedMs() - this.#stepStartedMs, MAX_PAUSE_MS);
    if (tookMs < 1) await setImmediate();
    else await this.#clock.sleep(tookMs, this.#stopping).catch(() => undefined);
    this.#stepStartedMs = this.#clock.elapsedMs();
  };

  /** Records that the request has timed out, and ends its work. */
  timeOut(): void {
    this.isTimedOut = true;
    this.abort(new Error("the request timed out"));
  }

  /** Ends the work for the request, or its stream. */
  abort(reason: Error): void {
    this.#expiry ??= new AbortController();
    this.#expiry.abort(reason);
  }

  /** Records that the answer is a stream. `ended` resolves at its end, and never rejects. */
  beginStream(ended: Promise<void>): void {
    this.streamEnded = ended;
    this.incoming.connection?.markStreaming();
  }
}

/** Finds the first value of a header by its name in lower case; undefined when absent. */
export function findHeader({ incoming: { rawHeaders } }: Pick<Exchange, "incoming">, name: string): string | undefined {
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const found = rawHeaders[index]!;
    if (found.length === name.length && found.toLowerCase() === name) return rawHeaders[index + 1];
  }
  return undefined;
}

/** Returns the User-Agent header, empty when absent. */
export function getUserAgent(exchange: Pick<Exchange, "incoming">): string {
  return findHeader(exchange, "user-agent") ?? "";
}

/**
 * Finds the source addresses (apimachinery `util/net`, `SourceIPs`): those of `X-Forwarded-For` and `X-Real-Ip`, which any
 * client can set, and last the address of the connection.
 */
export function findSourceIps(exchange: Exchange): readonly string[] {
  const forwarded = (findHeader(exchange, "x-forwarded-for") ?? "").split(",").map((part) => part.trim());
  const addresses = forwarded.filter((address) => isIP(address) !== 0);
  const real = findHeader(exchange, "x-real-ip")?.trim() ?? "";
  if (isIP(real) !== 0 && !addresses.includes(real)) addresses.push(real);
  const remote = getClientAddress(exchange.incoming);
  if (isIP(remote) !== 0 && addresses.at(-1) !== remote) addresses.push(remote);
  return addresses;
}

/**
 * Returns the address of the connection. An IPv4 address that a dual-stack socket has mapped to IPv6 is mapped back.
 */
export function getClientAddress({ remoteAddress }: Pick<Incoming, "remoteAddress">): string {
  return remoteAddress.startsWith("::ffff:") ? remoteAddress.slice("::ffff:".length) : remoteAddress;
}

/** When all warnings together exceed this number of characters, each one is truncated to `MAX_TRUNCATED`. */
const MAX_TOTAL = 4096;
const MAX_TRUNCATED = 256;

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
  #isTruncating = false;

  /** Adds a warning; a warning with control characters is not sent. */
  add(text: string): void {
    const texts = this.#texts ??= new Set();
    if (text === "" || texts.has(text) || (this.#isTruncating && this.#length >= MAX_TOTAL)) return;
    texts.add(text);
    if (!this.#isTruncating && this.#length + countCharacters(text) > MAX_TOTAL) {
      this.#isTruncating = true;
      this.#sent = [];
      this.#length = 0;
      for (const known of texts) this.#send(truncate(known));
    } else this.#send(this.#isTruncating ? truncate(text) : text);
  }

  /**
   * Adds strict decoding errors. The repeated keys of YAML are one error with several lines, each of which becomes a
   * warning.
   */
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

  #send(text: string): void {
    if (CONTROLS.test(text)) return;
    this.#length += countCharacters(text);
    this.#sent.push(toHeaderText(`299 - "${text.replace(/([\\"])/g, "\\$1")}"`));
  }
}

const CONTROLS = /\p{Cc}/u;
const HEADINGS = ["yaml: unmarshal errors:\n", "error converting YAML to JSON: yaml: unmarshal errors:\n"];

function countCharacters(text: string): number {
  return isAscii(text) ? text.length : Array.from(text).length;
}

function truncate(text: string): string {
  return Array.from(text).slice(0, MAX_TRUNCATED).join("");
}

function toHeaderText(text: string): string {
  if (isAscii(text)) return text;
  const wellFormed = text.toWellFormed();
  // Deno accepts only characters of Latin-1 in a header.
  if (WRITES_UTF8) return wellFormed.replace(/[\u{100}-\u{10ffff}]/gu, "?");
  return Buffer.from(wellFormed, "utf8").toString("latin1");
}
