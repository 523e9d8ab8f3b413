/**
 * Ends open streams, such as watches, whose users are no longer let in. kube-apiserver asks only when a request begins: a
 * watch goes on for as long as its client wants (`timeoutSeconds` has no limit, there and here), past the end of its token
 * or certificate and the removal of the CA. Here each stream is authenticated again, every few seconds.
 */
import type { UserInfo } from "../../core/kube/user.ts";
import type { Clock } from "../../core/ports.ts";
import { isSameSet } from "../../core/lib/sets.ts";
import type { Authenticator, AuthnRequest, AuthnResult } from "./authentication.ts";

/** An answer that goes on for as long as its client wants. */
export interface OpenStream {
  /** What the client showed when it asked. */
  readonly credentials: AuthnRequest;
  /** The user of these credentials then. */
  readonly user: UserInfo;
  /** Settles when the stream has ended by itself. */
  readonly ended: Promise<void>;
  /** Ends it. */
  end(): void;
}

/** How long a stream outlives its credentials at most, beside the time that the server takes to learn of the change. */
export const REAUTHENTICATION_MS = 5_000;
/** So many streams in a row; after a change of the CAs each needs its chain verified anew, and others must be served. */
const BATCH = 50;
const BREATH_MS = 1;

/** Returns the function that takes in streams. One round is for all, and a token that many share is asked about once. */
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
        await clock.sleep(REAUTHENTICATION_MS, signal);
        await askAll();
      }
    } finally {
      isRunning = false;
    }
  }

  async function askAll(): Promise<void> {
    const byHeader = new Map<string | undefined, Promise<AuthnResult>>();
    let count = 0;
    for (const stream of [...open]) {
      if (++count % BATCH === 0) await clock.sleep(BREATH_MS, signal);
      if (open.has(stream) && await isOver(stream, byHeader)) {
        open.delete(stream);
        stream.end();
      }
    }
  }

  async function isOver(
    { credentials, user }: OpenStream,
    byHeader: Map<string | undefined, Promise<AuthnResult>>,
  ): Promise<boolean> {
    const request = { ...credentials, isRepeated: true };
    const { authorizationHeader: header, peerCertificate } = credentials;
    const asked = (peerCertificate === undefined ? byHeader.get(header) : undefined) ?? authenticate(request);
    if (peerCertificate === undefined) byHeader.set(header, asked);
    try {
      const result = await asked;
      return result.kind === "unauthorized" || !isSame(result.user, user);
    } catch {
      // Where the token cannot be read nothing is known of it: that is no refusal.
      return false;
    }
  }

  return (stream) => {
    open.add(stream);
    void stream.ended.then(() => open.delete(stream));
    if (!isRunning) run().catch(() => undefined);
  };
}

function isSame(one: UserInfo, other: UserInfo): boolean {
  return one.username === other.username && one.uid === other.uid && isSameSet(one.groups, other.groups);
}
