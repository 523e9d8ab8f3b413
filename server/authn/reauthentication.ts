/**
 * Ends open streams, such as watches, whose credentials are no longer valid. kube-apiserver authenticates only when a
 * request begins: a watch continues for as long as its client wants (`timeoutSeconds` has no limit, there and here),
 * past the end of its token or certificate and the removal of the CA. This server authenticates each stream again every
 * few seconds.
 */
import type { UserInfo } from "../../core/kube/user.ts";
import type { Clock } from "../../core/ports.ts";
import { isSameSet } from "../../core/lib/sets.ts";
import type { Authenticator, AuthnRequest, AuthnResult } from "./authentication.ts";

/** An open stream, which lasts for as long as its client wants. */
export interface OpenStream {
  /** The credentials of the request that opened the stream. */
  readonly credentials: AuthnRequest;
  /** The user whom these credentials identified then. */
  readonly user: UserInfo;
  /** Settles when the stream has ended. */
  readonly ended: Promise<void>;
  /** Ends the stream because its user is no longer authenticated. */
  end(): void;
}

/** The longest time that a stream outlives its credentials, after the server has learned of the change. */
export const REAUTHENTICATION_INTERVAL_MS = 5_000;
/**
 * The number of streams that are checked in a row. After a change of the CAs each needs its chain verified again, and
 * requests must be served in between.
 */
const BATCH = 50;
const PAUSE_MS = 1;

/** Returns a function that registers a stream. Each round checks all streams, and checks a shared token once for each address. */
export function createReauthentication(
  authenticate: Authenticator,
  clock: Clock,
  signal: AbortSignal,
): (stream: OpenStream) => void {
  const open = new Set<OpenStream>();
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    try {
      while (open.size > 0) {
        await clock.sleep(REAUTHENTICATION_INTERVAL_MS, signal);
        await checkAll();
      }
    } finally {
      isRunning = false;
    }
  }

  async function checkAll(): Promise<void> {
    const byToken = new Map<string, Promise<AuthnResult>>();
    let count = 0;
    for (const stream of [...open]) {
      if (++count % BATCH === 0) await clock.sleep(PAUSE_MS, signal);
      if (open.has(stream) && await isRevoked(stream, byToken)) {
        open.delete(stream);
        stream.end();
      }
    }
  }

  async function isRevoked(
    { credentials, user }: OpenStream,
    byToken: Map<string, Promise<AuthnResult>>,
  ): Promise<boolean> {
    const request = { ...credentials, isRepeated: true };
    const { authorizationHeader = "", peerCertificate, remoteAddress = "" } = credentials;
    // A token may be limited to networks.
    const key = `${remoteAddress} ${authorizationHeader}`;
    const checked = (peerCertificate === undefined ? byToken.get(key) : undefined) ?? authenticate(request);
    if (peerCertificate === undefined) byToken.set(key, checked);
    try {
      const result = await checked;
      return result.kind === "unauthorized" || !isSameUser(result.user, user);
    } catch {
      // The Secret of the token could not be read, which is not a refusal.
      return false;
    }
  }

  return (stream) => {
    open.add(stream);
    void stream.ended.then(() => open.delete(stream));
    if (!isRunning) run().catch(() => undefined);
  };
}

function isSameUser(one: UserInfo, other: UserInfo): boolean {
  return one.username === other.username && one.uid === other.uid && isSameSet(one.groups, other.groups);
}
