/** One request on its way through the pipeline, after authentication and authorization. */
import type { UserInfo } from "../../core/kube/user.ts";
import type { AuditTrail } from "./audit.ts";
import type { Seat } from "../flowcontrol/flow_control.ts";
import type { RequestInfo } from "./request_info.ts";
import type { Warnings } from "./warnings.ts";
import { isIP } from "node:net";

/** The little of a `Request` that is looked at, so that nobody need make a whole one. */
export interface IncomingRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Pick<Headers, "get">;
  /** Null for none. */
  readonly body: ReadableStream<Uint8Array> | null;
  arrayBuffer(): Promise<ArrayBuffer>;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

/** Everything a handler may know of a request. */
export interface Exchange {
  readonly request: IncomingRequest;
  readonly query: URLSearchParams;
  readonly info: RequestInfo;
  /** After impersonation. */
  readonly user: UserInfo;
  readonly auditId: string;
  readonly warnings: Warnings;
  /** Is told when an answer is a stream, with the promise of its end, which never rejects. */
  readonly onStream?: (ended: Promise<void>) => void;
  /** Where what is audited of the request is put; absent when nothing is. */
  readonly audit?: AuditTrail;
  /** Aborts when the client goes away or the server stops; made when it is first asked for, as most never wait. */
  readonly signal: () => AbortSignal;
  /** Whether its time is over: its client has been told so, and nothing may come of it any more. */
  readonly isTimedOut: () => boolean;
  /** What it takes up of what everybody shares; absent for those who take part in no limits. */
  readonly seat?: Seat;
  /** First values of the headers that came several times, by lower-case name; `request.headers` joins them all. */
  readonly repeated?: ReadonlyMap<string, string>;
}

/** The first value of a header, undefined when absent. */
export function findHeader({ request, repeated }: Exchange, name: string): string | undefined {
  return repeated?.get(name) ?? request.headers.get(name) ?? undefined;
}

/** First values of repeated headers, from names and values in turn; undefined when none is repeated. */
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

/** Up to so many, comparing each with each takes less than a map. */
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

/** The addresses of `X-Forwarded-For` and `X-Real-Ip`, which anybody can write, and last the one of the connection. */
export function findSourceIps(exchange: Exchange, remoteAddress: string): readonly string[] {
  const forwarded = (findHeader(exchange, "x-forwarded-for") ?? "").split(",").map((part) => part.trim());
  const addresses = forwarded.filter((address) => isIP(address) !== 0);
  const real = findHeader(exchange, "x-real-ip")?.trim() ?? "";
  if (isIP(real) !== 0 && !addresses.includes(real)) addresses.push(real);
  const remote = remoteAddress.startsWith("::ffff:") ? remoteAddress.slice("::ffff:".length) : remoteAddress;
  if (isIP(remote) !== 0 && addresses.at(-1) !== remote) addresses.push(remote);
  return addresses;
}
