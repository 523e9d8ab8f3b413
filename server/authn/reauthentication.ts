/**
 * Ends open streams, such as watches, whose credentials are no longer valid. kube-apiserver authenticates only when a
 * request begins: a watch continues for as long as its client wants (`timeoutSeconds` has no limit, there and here),
 * even after its token or certificate has expired or its CA has been removed. This server authenticates each stream
 * again every few seconds, and at once when something is revoked or the trusted client CAs change.
 */
import type { UserInfo } from "../../core/kube/user.ts";
import type { Clock } from "../../core/ports.ts";
import { isSameSet } from "../../core/lib/record.ts";
import { findCertificateFingerprint, type PresentedCertificate } from "../../core/revocation/revocation_index.ts";
import type { Revocations } from "../revocation/revocations.ts";
import type { Authenticator, AuthnRequest, AuthnResult } from "./authentication.ts";

/** An open stream, which lasts for as long as its client wants. */
export interface OpenStream {
  readonly credentials: AuthnRequest;
  /** The user that these credentials identified when the stream was opened. */
  readonly user: UserInfo;
  /** The impersonated user, if the stream was opened with impersonation. */
  readonly impersonated?: UserInfo;
  /** The elapsed time of the clock when the request was received, in milliseconds. */
  readonly receivedMs: number;
  /** Settles when the stream has ended. */
  readonly ended: Promise<void>;
  /** Ends the stream because its user is no longer authenticated. */
  end(): void;
}

/** The longest time that a stream outlives credentials that have expired or whose CA was removed. */
export const REAUTHENTICATION_INTERVAL_MS = 5_000;
/**
 * The number of streams that are checked without a pause. After the removal of a CA, the chain of each of its clients
 * is verified again, and requests must be served in between.
 */
const BATCH = 50;
const PAUSE_MS = 1;
/** A certificate that is not parsed again. Unless it is in the register, it counts as newer than any Revocation. */
const UNREAD: Omit<PresentedCertificate, "fingerprint"> = { serialNumber: "", notBefore: new Date(8.64e15) };

/** The dependencies of the checks of open streams. */
export interface ReauthenticationDeps {
  readonly authenticate: Authenticator;
  readonly clock: Clock;
  /** Ends the checks, when the server stops. */
  readonly signal: AbortSignal;
  /** After each change of the revocations all streams are checked at once; absent where nothing can be revoked. */
  readonly revocations?: Pick<Revocations, "onChange" | "findRefusal">;
  /**
   * Registers a listener that is called when the trusted client CAs change; all streams are then checked at once too.
   */
  readonly onClientCasChange?: ((listener: () => void) => void) | undefined;
}

/**
 * Returns a function that registers a stream. Each round checks all streams, and checks a shared token once for each
 * address.
 */
export function createReauthentication(
  { authenticate, clock, signal, revocations, onClientCasChange }: ReauthenticationDeps,
): (stream: OpenStream) => void {
  const open = new Set<OpenStream>();
  let isRunning = false;
  let lastChangeMs = -Infinity;
  /** Whether revocations or client CAs have changed since the last check of all streams began. */
  let isChanged = false;
  let isChecking = false;

  revocations?.onChange(checkAtOnce);
  onClientCasChange?.(checkAtOnce);

  function checkAtOnce(): void {
    lastChangeMs = clock.elapsedMs();
    endRevoked().catch(() => undefined).then(() => {
      isChanged = true;
      if (!isChecking) void checkAfterChanges();
    });
  }

  async function checkAfterChanges(): Promise<void> {
    isChecking = true;
    while (isChanged && !signal.aborted) {
      isChanged = false;
      await checkAll().catch(() => undefined);
    }
    isChecking = false;
  }

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

  /** Ends the streams whose user or certificate is revoked, without authenticating any stream again. */
  async function endRevoked(): Promise<void> {
    await forEachInBatches([...open].filter(isKnownRevoked), endIfOpen);
  }

  async function checkAll(): Promise<void> {
    const byToken = new Map<string, Promise<AuthnResult>>();
    await forEachInBatches([...open], (stream) => check(stream, byToken));
  }

  async function forEachInBatches(
    streams: readonly OpenStream[],
    act: (stream: OpenStream) => Promise<void> | void,
  ): Promise<void> {
    for (const [index, stream] of streams.entries()) {
      if (index % BATCH === BATCH - 1) await clock.sleep(PAUSE_MS, signal);
      await act(stream);
    }
  }

  async function check(stream: OpenStream, byToken: Map<string, Promise<AuthnResult>>): Promise<void> {
    if (open.has(stream) && await isRevoked(stream, byToken)) endIfOpen(stream);
  }

  function endIfOpen(stream: OpenStream): void {
    if (open.delete(stream)) stream.end();
  }

  /** Whether a Revocation applies to a stream, as far as its user and the register show without authentication. */
  function isKnownRevoked({ user, impersonated, credentials }: OpenStream): boolean {
    const isRefused = (subject: UserInfo, certificate?: PresentedCertificate): boolean =>
      revocations?.findRefusal(subject, certificate, { ...credentials, isRepeated: true }) !== undefined;
    const fingerprint = findCertificateFingerprint(user.extra);
    return isRefused(user, fingerprint === undefined ? undefined : { ...UNREAD, fingerprint }) ||
      (impersonated !== undefined && isRefused(impersonated));
  }

  async function isRevoked(
    { credentials, user, impersonated }: OpenStream,
    byToken: Map<string, Promise<AuthnResult>>,
  ): Promise<boolean> {
    const request = { ...credentials, isRepeated: true };
    if (impersonated !== undefined && revocations?.findRefusal(impersonated, undefined, request) !== undefined) {
      return true;
    }
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
    // The revocations or client CAs may have changed between the arrival of the request and this call.
    if (lastChangeMs >= stream.receivedMs) check(stream, new Map()).catch(() => undefined);
    if (!isRunning) run().catch(() => undefined);
  };
}

function isSameUser(a: UserInfo, b: UserInfo): boolean {
  return a.username === b.username && a.uid === b.uid && isSameSet(a.groups, b.groups);
}
