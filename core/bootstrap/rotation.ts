/**
 * When a client certificate is renewed, as data and a pure step (client-go `certificate_manager.go`;
 * `kubelet-bootstrap.md` §7.2–7.3). The loop that sleeps and asks lives in `client/certificate_manager.ts`.
 */

/** What rotation needs to know of the current leaf. */
export interface RotationCertificate {
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** What the certificate should say. */
export interface CertificateTemplate {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** Where a rotation stands. */
export interface RotationState {
  readonly certificate: RotationCertificate | undefined;
  /** Undefined while nothing can be asked for, such as a serving certificate without an address. */
  readonly template: CertificateTemplate | undefined;
  /** Renew at once, in the first round only. */
  readonly forced: boolean;
  /** Chosen once a round; undefined at its start. */
  readonly deadline: Date | undefined;
  /** Failed tries of the running rotation. */
  readonly failures: number;
  /** No earlier than this: the pause after a try. */
  readonly notUntil: Date | undefined;
}

/** What to do next. `state` is the state to go on with. */
export type RotationStep =
  | { readonly kind: "sleep"; readonly until: Date; readonly state: RotationState }
  /** A wait after a try: a duration, which no setting of the clock makes longer. */
  | { readonly kind: "pause"; readonly ms: number; readonly state: RotationState }
  /** It is time, but only another template makes it possible. */
  | { readonly kind: "idle"; readonly state: RotationState }
  /** Make a new key and ask, with the current certificate while it is valid, else with the bootstrap credentials. */
  | {
    readonly kind: "request";
    readonly credentials: "current" | "bootstrap";
    readonly template: CertificateTemplate;
    readonly state: RotationState;
  };

/** The pause between rounds; client-go's `wait.Until(…, time.Second)`. */
const ROUND_PAUSE_MS = 1_000;
/** Pauses after the first four failed tries, each longer by up to a tenth (`wait.Backoff{2s, 2, 0.1, 5}`). */
const RETRY_PAUSES_MS: readonly number[] = [2_000, 4_000, 8_000, 16_000];
/** The pause after every later try. */
const LATE_RETRY_PAUSE_MS = 32_000;
/** A deadline that no clock is before, however it is set. */
const AT_ONCE = new Date(-8.64e15);
/** How many tries make client-go log that the backoff limit is reached. */
export const BACKOFF_LIMIT = RETRY_PAUSES_MS.length + 1;

/** The state at start: an expired certificate counts as none, and none means to ask at once. */
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

/** Decides: sleep, pause, or ask now. `random` is uniform in [0, 1) and used once a round. */
export function nextStep(state: RotationState, now: Date, random: () => number): RotationStep {
  const deadline = state.deadline ?? (state.forced ? AT_ONCE : decideDeadline(state, random));
  const settled: RotationState = { ...state, deadline };
  if (deadline > now) return { kind: "sleep", until: deadline, state: settled };
  const pauseMs = state.notUntil === undefined ? 0 : state.notUntil.getTime() - now.getTime();
  // No pause is that long: the clock was set back.
  if (pauseMs > 0 && pauseMs <= LATE_RETRY_PAUSE_MS) return { kind: "pause", ms: pauseMs, state: settled };
  const { template } = state;
  if (template === undefined) return { kind: "idle", state: settled };
  const valid = state.certificate !== undefined && state.certificate.notAfter >= now;
  return { kind: "request", credentials: valid ? "current" : "bootstrap", template, state: settled };
}

/** The state after a new certificate: another round begins. */
export function afterRotation(state: RotationState, certificate: RotationCertificate, now: Date): RotationState {
  return {
    ...state,
    certificate,
    forced: false,
    deadline: undefined,
    failures: 0,
    notUntil: new Date(now.getTime() + ROUND_PAUSE_MS),
  };
}

/** The state after another template came: a new round, which asks at once unless the certificate has it already. */
export function afterTemplateChange(state: RotationState, template: CertificateTemplate | undefined): RotationState {
  return { ...state, template, deadline: undefined, failures: 0, notUntil: undefined };
}

/** The state after a failed try: pauses of 2, 4, 8 and 16 s, then 32 s for ever. */
export function afterFailure(state: RotationState, now: Date, random: () => number): RotationState {
  const pause = RETRY_PAUSES_MS[state.failures];
  const pauseMs = pause === undefined ? LATE_RETRY_PAUSE_MS : pause * (1 + 0.1 * random());
  return { ...state, failures: state.failures + 1, notUntil: new Date(now.getTime() + pauseMs) };
}

/** 70–90 % of the lifetime, counted from notBefore. */
export function rotationDeadline(
  certificate: Pick<RotationCertificate, "notBefore" | "notAfter">,
  random: () => number,
): Date {
  const start = certificate.notBefore.getTime();
  const lifetimeMs = certificate.notAfter.getTime() - start;
  return new Date(start + lifetimeMs * (0.7 + 0.2 * random()));
}

/** CN equal, and every organization, DNS name and IP of the template present; more in the certificate is fine. */
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
  return rotationDeadline(state.certificate, random);
}
