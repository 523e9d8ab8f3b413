/**
 * Decides when a client certificate is renewed, as data and a pure step (client-go
 * `util/certificate/certificate_manager.go`). The loop that sleeps and sends requests is `client/rotation.ts`.
 */
import type { CertificateFacts } from "../pki/certificate.ts";

/** The facts about the current leaf certificate that rotation depends on. */
export interface RotationCertificate {
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** Takes the facts from a parsed certificate. */
export function toRotationCertificate(leaf: CertificateFacts): RotationCertificate {
  const { notBefore, notAfter, subject, dnsNames, ipAddresses } = leaf;
  const { commonName, organizations } = subject;
  return { notBefore, notAfter, commonName, organizations, dnsNames, ipAddresses };
}

/** The subject and names that the certificate should have. */
export interface CertificateTemplate {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** The state of a rotation between two steps. */
export interface RotationState {
  readonly certificate: RotationCertificate | undefined;
  /** Undefined while nothing can be requested, such as a serving certificate without an address. */
  readonly template: CertificateTemplate | undefined;
  /** Whether the first round renews at once. */
  readonly forced: boolean;
  /** The renewal deadline, which is chosen once per round; undefined at the start of a round. */
  readonly deadline: Date | undefined;
  /** How many attempts of the current round have failed. */
  readonly failures: number;
  /** The earliest time of the next attempt, after the pause that follows an attempt. */
  readonly notUntil: Date | undefined;
}

/** The next action of the loop, which continues with `state`. */
export type RotationStep =
  | { readonly kind: "sleep"; readonly until: Date; readonly state: RotationState }
  /** A wait after an attempt. It is a duration, so that a clock change does not extend it. */
  | { readonly kind: "pause"; readonly ms: number; readonly state: RotationState }
  /** A renewal is due, but has to wait for a template. */
  | { readonly kind: "idle"; readonly state: RotationState }
  /** Create a key and a request, authenticated by the current certificate while it is valid, else by the bootstrap credentials. */
  | {
    readonly kind: "request";
    readonly credentials: "current" | "bootstrap";
    readonly template: CertificateTemplate;
    readonly state: RotationState;
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

/** The state at start. An expired certificate counts as missing, and a missing one is requested at once. */
export function startRotation(
  certificate: RotationCertificate | undefined,
  template: CertificateTemplate | undefined,
  now: Date,
): RotationState {
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
export function decideNextStep(state: RotationState, now: Date, random: () => number): RotationStep {
  const deadline = state.deadline ?? (state.forced ? AT_ONCE : decideDeadline(state, random));
  const settled: RotationState = { ...state, deadline };
  if (deadline > now) return { kind: "sleep", until: deadline, state: settled };
  const pauseMs = state.notUntil === undefined ? 0 : state.notUntil.getTime() - now.getTime();
  // A longer pause than the longest one means that the clock was set back.
  if (pauseMs > 0 && pauseMs <= LATE_RETRY_PAUSE_MS) return { kind: "pause", ms: pauseMs, state: settled };
  const { template } = state;
  if (template === undefined) return { kind: "idle", state: settled };
  const valid = state.certificate !== undefined && state.certificate.notAfter >= now;
  return { kind: "request", credentials: valid ? "current" : "bootstrap", template, state: settled };
}

/** The state after a new certificate, which starts another round. */
export function applyRotation(state: RotationState, certificate: RotationCertificate, now: Date): RotationState {
  return {
    ...state,
    certificate,
    forced: false,
    deadline: undefined,
    failures: 0,
    notUntil: new Date(now.getTime() + ROUND_PAUSE_MS),
  };
}

/** The state after a template change: a new round, which requests at once unless the certificate already satisfies it. */
export function applyTemplateChange(state: RotationState, template: CertificateTemplate | undefined): RotationState {
  return { ...state, template, deadline: undefined, failures: 0, notUntil: undefined };
}

/** The state after a failed attempt: pauses of 2, 4, 8 and 16 s, then always 32 s. */
export function applyFailure(state: RotationState, now: Date, random: () => number): RotationState {
  const pause = RETRY_PAUSES_MS[state.failures];
  const pauseMs = pause === undefined ? LATE_RETRY_PAUSE_MS : pause * (1 + 0.1 * random());
  return { ...state, failures: state.failures + 1, notUntil: new Date(now.getTime() + pauseMs) };
}

/** Picks a time at 70 to 90 % of the lifetime, counted from notBefore. */
export function decideRotationDeadline(
  certificate: Pick<RotationCertificate, "notBefore" | "notAfter">,
  random: () => number,
): Date {
  const start = certificate.notBefore.getTime();
  const lifetimeMs = certificate.notAfter.getTime() - start;
  return new Date(start + lifetimeMs * (0.7 + 0.2 * random()));
}

/** Reports whether the common name is equal and every organization, DNS name and IP of the template is present. */
export function satisfiesTemplate(
  certificate: RotationCertificate | undefined,
  template: CertificateTemplate | undefined,
): boolean {
  if (certificate === undefined) return false;
  if (template === undefined) return true;
  return certificate.commonName === template.commonName &&
    template.organizations.every((item) => certificate.organizations.includes(item)) &&
    template.dnsNames.every((item) => certificate.dnsNames.includes(item)) &&
    template.ipAddresses.every((item) => certificate.ipAddresses.includes(item));
}

function decideDeadline(state: RotationState, random: () => number): Date {
  if (state.certificate === undefined || !satisfiesTemplate(state.certificate, state.template)) return AT_ONCE;
  return decideRotationDeadline(state.certificate, random);
}

/** The state of a certificate at a given time. */
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
  const renewalFrom = decideRotationDeadline(leaf, () => 0);
  const renewalBy = decideRotationDeadline(leaf, () => 1);
  const state = leaf.notAfter < now
    ? "expired"
    : leaf.notBefore > now
    ? "notYetValid"
    : renewalBy <= now
    ? "renewalDue"
    : "valid";
  return { state, renewalFrom, renewalBy };
}
