/**
 * Decides when a client certificate is renewed, as data and a pure step (client-go
 * `util/certificate/certificate_manager.go`). The loop that sleeps and sends requests is `client/certificate_manager.ts`.
 */
import { createHash } from "node:crypto";
import type { CertificateFacts } from "../pki/x509/certificate.ts";

/** The facts about the current leaf certificate that its renewal depends on. */
export interface RenewableCertificate extends CertificateTemplate {
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** The key identifier of the CA that issued it, as lower-case hex. */
  readonly authorityKeyId?: string | undefined;
}

/** Takes the facts from a parsed certificate. */
export function toRenewableCertificate(leaf: CertificateFacts): RenewableCertificate {
  const { notBefore, notAfter, subject, dnsNames, ipAddresses, authorityKeyId } = leaf;
  const { commonName, organizations } = subject;
  return { notBefore, notAfter, commonName, organizations, dnsNames, ipAddresses, authorityKeyId };
}

/** The subject and the names that a certificate should have. */
export interface CertificateTemplate {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** CAs that are being replaced, and when this machine renews the certificates that they issued. */
export interface CaRetirement {
  /** The subject key identifiers of the CAs, as lower-case hex. */
  readonly keyIds: readonly string[];
  /** The start of the period in which all machines renew. */
  readonly begin: Date;
  /** The time at which this machine renews its certificates. */
  readonly renewAt: Date;
}

/** The annotations of a trust bundle by which a server requests an early renewal. */
export const RETIREMENT_ANNOTATIONS = {
  /** The subject key identifiers of the CAs that are being replaced, as lower-case hex, joined by commas. */
  keyIds: "tlsboot/retiring-ca",
  /** The start of the period in which their certificates are renewed (RFC 3339). */
  from: "tlsboot/renew-from",
  /** The end of that period. */
  by: "tlsboot/renew-by",
} as const;

/**
 * Reads from the annotations of trust bundles which CAs are being replaced. The machine's time within the window is
 * chosen by a hash of its name, so the machines are spread evenly and a restart changes nothing. While one bundle
 * replaces another, the later window counts. Undefined when no bundle has a valid request to renew.
 */
export function findCaRetirement(
  annotations: readonly (Readonly<Record<string, string>> | undefined)[],
  nodeName: string,
): CaRetirement | undefined {
  const [latest] = annotations.flatMap((values) => parseRetirement(values ?? {})).sort((a, b) => b.from - a.from);
  if (latest === undefined) return undefined;
  const renewAt = new Date(Math.floor(latest.from + (latest.by - latest.from) * getShare(nodeName)));
  return { keyIds: latest.keyIds, begin: new Date(latest.from), renewAt };
}

function parseRetirement(
  annotations: Readonly<Record<string, string>>,
): readonly { readonly keyIds: readonly string[]; readonly from: number; readonly by: number }[] {
  const keyIds = String(annotations[RETIREMENT_ANNOTATIONS.keyIds] ?? "").split(",").map((id) =>
    id.trim().toLowerCase()
  )
    .filter((id) => id !== "");
  const from = Date.parse(annotations[RETIREMENT_ANNOTATIONS.from] ?? "");
  const by = Date.parse(annotations[RETIREMENT_ANNOTATIONS.by] ?? "");
  return keyIds.length > 0 && from <= by ? [{ keyIds, from, by }] : [];
}

/** Maps a name to a number in [0, 1), evenly for many names. */
function getShare(name: string): number {
  return createHash("sha256").update(name).digest().readUInt32BE(0) / 2 ** 32;
}

/** Reports whether two retirements cause the same renewal of this machine. */
export function isSameRetirement(a: CaRetirement | undefined, b: CaRetirement | undefined): boolean {
  return a?.renewAt.getTime() === b?.renewAt.getTime() && a?.keyIds.join() === b?.keyIds.join();
}

/** The state of a renewal between two steps. */
export interface RenewalState {
  readonly certificate: RenewableCertificate | undefined;
  /** Undefined while nothing can be requested, such as a serving certificate without an address. */
  readonly template: CertificateTemplate | undefined;
  /** Whether the first round starts with a request. */
  readonly forced: boolean;
  /** The renewal deadline, which is chosen once per round; undefined at the start of a round. */
  readonly deadline: Date | undefined;
  /** How many attempts of the current round have failed. */
  readonly failures: number;
  /** The end of the pause after the last attempt. */
  readonly notUntil: Date | undefined;
  /** The CAs that are being replaced. */
  readonly retirement?: CaRetirement | undefined;
  /** A retirement for which a renewal changed nothing, because the signer still uses the CA; it is not tried again. */
  readonly fruitless?: CaRetirement | undefined;
}

/** The next action of the loop, which continues with `state`. */
export type RenewalStep =
  | { readonly kind: "sleep"; readonly until: Date; readonly state: RenewalState }
  /** A wait after an attempt. It is a duration, so that a clock change does not extend it. */
  | { readonly kind: "pause"; readonly ms: number; readonly state: RenewalState }
  /** A renewal is due, but has to wait for a template. */
  | { readonly kind: "idle"; readonly state: RenewalState }
  /** Create a key and a request, authenticated by the current certificate while it is valid, else by the bootstrap credentials. */
  | {
    readonly kind: "request";
    readonly credentials: "current" | "bootstrap";
    readonly template: CertificateTemplate;
    readonly state: RenewalState;
  };

/** The pause between rounds; client-go's `wait.Until(…, time.Second)`. */
const ROUND_PAUSE_MS = 1_000;
/** The pauses after the first four failed attempts, each with up to 10 % jitter (`wait.Backoff{2s, 2, 0.1, 5}`). */
const RETRY_PAUSES_MS: readonly number[] = [2_000, 4_000, 8_000, 16_000];
/** The pause after every later failed attempt. */
const LATE_RETRY_PAUSE_MS = 32_000;
/** The earliest time that `Date` knows, so that the deadline has passed on every clock. */
const AT_ONCE = new Date(-8.64e15);
/** The number of attempts after which client-go logs that the backoff limit is reached. */
export const BACKOFF_LIMIT = RETRY_PAUSES_MS.length + 1;

/** Returns the initial state. An expired certificate counts as missing, and a missing one is requested at once. */
export function startRenewal(
  certificate: RenewableCertificate | undefined,
  template: CertificateTemplate | undefined,
  now: Date,
): RenewalState {
  const usable = certificate !== undefined && certificate.notAfter >= now;
  return {
    certificate: usable ? certificate : undefined,
    template,
    forced: !usable,
    deadline: undefined,
    failures: 0,
    notUntil: undefined,
  };
}

/** Decides whether to sleep, to pause, or to send a request now. `random` is uniform in [0, 1) and used once per round. */
export function decideNextStep(state: RenewalState, now: Date, random: () => number): RenewalStep {
  const deadline = state.deadline ?? (state.forced ? AT_ONCE : decideDeadline(state, random));
  const settled: RenewalState = { ...state, deadline };
  const early = findEarlyDeadline(state);
  const until = early !== undefined && early < deadline ? early : deadline;
  if (until > now) return { kind: "sleep", until, state: settled };
  const pauseMs = state.notUntil === undefined ? 0 : state.notUntil.getTime() - now.getTime();
  // A longer pause than the longest one means that the clock was set back.
  if (pauseMs > 0 && pauseMs <= LATE_RETRY_PAUSE_MS) return { kind: "pause", ms: pauseMs, state: settled };
  const { template } = state;
  if (template === undefined) return { kind: "idle", state: settled };
  const valid = state.certificate !== undefined && state.certificate.notAfter >= now;
  return { kind: "request", credentials: valid ? "current" : "bootstrap", template, state: settled };
}

/** Returns the state after a new certificate, which starts another round. */
export function applyRenewal(state: RenewalState, certificate: RenewableCertificate, now: Date): RenewalState {
  return {
    ...state,
    certificate,
    fruitless: isRetiring(certificate, state.retirement) ? state.retirement : undefined,
    forced: false,
    deadline: undefined,
    failures: 0,
    notUntil: new Date(now.getTime() + ROUND_PAUSE_MS),
  };
}

/** Returns the state after a template change: a new round, which requests at once unless the certificate fits. */
export function applyTemplateChange(state: RenewalState, template: CertificateTemplate | undefined): RenewalState {
  return { ...state, template, deadline: undefined, failures: 0, notUntil: undefined };
}

/** Returns the state after the replacement of a CA has begun or ended, or got another time for the renewal. */
export function applyRetirement(state: RenewalState, retirement: CaRetirement | undefined): RenewalState {
  return { ...state, retirement };
}

/** How much the clocks of the servers of one installation may differ. */
const SKEW_MS = 60_000;

/**
 * Returns the time of the early renewal; undefined when there is none, or when the signer still uses the retiring CA.
 * The latter is known from an ineffective renewal, or after a restart from a certificate that was issued after the
 * window began.
 */
function findEarlyDeadline({ certificate, retirement, fruitless }: RenewalState): Date | undefined {
  if (certificate === undefined || retirement === undefined || !isRetiring(certificate, retirement)) return undefined;
  const isRenewed = certificate.notBefore.getTime() > retirement.begin.getTime() + SKEW_MS;
  return isRenewed || isSameRetirement(retirement, fruitless) ? undefined : retirement.renewAt;
}

/** Reports whether a certificate was issued by a CA that is being replaced. */
export function isRetiring(
  certificate: Pick<RenewableCertificate, "authorityKeyId"> | undefined,
  retirement: CaRetirement | undefined,
): boolean {
  const keyId = certificate?.authorityKeyId;
  return keyId !== undefined && retirement?.keyIds.includes(keyId) === true;
}

/** Returns the state after a failed attempt: pauses of 2, 4, 8 and 16 s, then always 32 s. */
export function applyFailure(state: RenewalState, now: Date, random: () => number): RenewalState {
  const pause = RETRY_PAUSES_MS[state.failures];
  const pauseMs = pause === undefined ? LATE_RETRY_PAUSE_MS : pause * (1 + 0.1 * random());
  return { ...state, failures: state.failures + 1, notUntil: new Date(now.getTime() + pauseMs) };
}

/** Picks a time at 70 to 90 % of the lifetime, counted from notBefore. */
export function decideRenewalDeadline(
  certificate: Pick<RenewableCertificate, "notBefore" | "notAfter">,
  random: () => number,
): Date {
  const start = certificate.notBefore.getTime();
  const lifetimeMs = certificate.notAfter.getTime() - start;
  return new Date(start + lifetimeMs * (0.7 + 0.2 * random()));
}

/**
 * Returns when a certificate is renewed: `renewBeforeMs` before its end, and without it at 70 % of the lifetime. A time
 * that is not shorter than the lifetime would replace each new certificate at once, so it is ignored.
 */
export function getRenewalTime(
  leaf: { readonly notBefore: Date; readonly notAfter: Date },
  renewBeforeMs: number | undefined,
): Date {
  return renewBeforeMs !== undefined && renewBeforeMs < leaf.notAfter.getTime() - leaf.notBefore.getTime()
    ? new Date(leaf.notAfter.getTime() - renewBeforeMs)
    : decideRenewalDeadline(leaf, () => 0);
}

/** Reports whether the common name is equal and every organization, DNS name and IP of the template is present. */
export function satisfiesTemplate(
  certificate: RenewableCertificate | undefined,
  template: CertificateTemplate | undefined,
): boolean {
  if (certificate === undefined) return false;
  if (template === undefined) return true;
  return certificate.commonName === template.commonName &&
    template.organizations.every((item) => certificate.organizations.includes(item)) &&
    template.dnsNames.every((item) => certificate.dnsNames.includes(item)) &&
    template.ipAddresses.every((item) => certificate.ipAddresses.includes(item));
}

function decideDeadline(state: RenewalState, random: () => number): Date {
  if (state.certificate === undefined || !satisfiesTemplate(state.certificate, state.template)) return AT_ONCE;
  return decideRenewalDeadline(state.certificate, random);
}

export type PairState =
  | "valid"
  /** The latest possible renewal time has passed. */
  | "renewalDue"
  | "expired"
  | "notYetValid";

/** The state, and the period in which a certificate manager renews. */
export interface PairStatus {
  readonly state: PairState;
  readonly renewalFrom: Date;
  readonly renewalBy: Date;
}

/** Determines the state of a leaf certificate. */
export function getPairStatus(leaf: { readonly notBefore: Date; readonly notAfter: Date }, now: Date): PairStatus {
  const renewalFrom = decideRenewalDeadline(leaf, () => 0);
  const renewalBy = decideRenewalDeadline(leaf, () => 1);
  const state = leaf.notAfter < now
    ? "expired"
    : leaf.notBefore > now
    ? "notYetValid"
    : renewalBy <= now
    ? "renewalDue"
    : "valid";
  return { state, renewalFrom, renewalBy };
}
