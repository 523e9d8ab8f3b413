/** A request on its way through the pipeline, and its headers. */
import type { UserInfo } from "../../core/kube/user.ts";
import type { AuditTrail } from "./audit.ts";
import type { Seat } from "../flowcontrol/flow_control.ts";
import type { RequestInfo } from "./request_info.ts";
import type { Warnings } from "./warnings.ts";
import { isIP } from "node:net";

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
