/**
 * Plans the certificate of an approved request (`pkg/controller/certificates/authority/policies.go`). Only the named parts of
 * the request are copied. The plan depends on whether the API trusts the CA for clients.
 */
import { verifyRequest } from "../request/parse_request.ts";
import { VALIDATION_FAILURE } from "../request/phase.ts";
import { findKeyUsageFault, findUnknownUsages, toExtendedKeyUsageOids } from "../pki/x509/usages.ts";
import {
  type CertificateSigningRequestSpec,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  MIN_EXPIRATION_SECONDS,
} from "../kube/kinds/certificates_v1.ts";
import { goQuoteList } from "../lib/quote.ts";
import { type CertificateFacts, isSelfIssued } from "../pki/x509/certificate.ts";
import type { DistinguishedName, SubjectFields } from "../pki/x509/names.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { findIssuersFault } from "../pki/authority/serving_certificate.ts";
import { BUILTIN_SIGNERS, findProfileFault, type ProfileLifetime, type SigningProfile } from "./profile.ts";
import type { CertificatePlan } from "../pki/authority/issue.ts";
import type { Authority } from "../pki/authority/authority.ts";
import { publicKeysEqual } from "../pki/keys/keys.ts";
import { didIssue } from "../pki/x509/ca_bundle.ts";

/**
 * How far certificates are backdated, for clients whose clock is behind; kubeadm does the same with its own
 * (`CertificateBackdate`, `cmd/kubeadm/app/constants/constants.go`).
 */
export const BACKDATE_MS = 5 * 60_000;
/** The lifetime of certificates by default: a year, as with `--cluster-signing-duration` of kube-controller-manager. */
export const DEFAULT_SIGNING_SECONDS = 365 * 86_400;
/** For shorter lifetimes the backdate is added, so that the client gets the whole requested lifetime. */
const SHORT_LIFETIME_MS = 8 * 3_600_000;
/** The signers of certificates for API clients. */
const CLIENT_SIGNERS: ReadonlySet<string> = new Set([
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
]);

/** Why a request gets no certificate. */
export type SigningRefusal =
  /** The request violates the profile or a limit of its CA, so it gets a permanent Failed condition. */
  | {
    readonly kind: "failed";
    readonly reason: "SignerValidationFailure";
    readonly message: string;
    /** The rule of the profile that refuses the request; absent when its CA does. */
    readonly rule?: string;
  }
  /** A failure that may be temporary, such as an expired CA; the signer tries again later. */
  | { readonly kind: "error"; readonly message: string };

/** Whether the API accepts client certificates of a CA. */
export type ClientTrust = "trusted" | "distrusted" | "unknown";

/** The input of a plan. */
export interface PlanInput {
  readonly csr: { readonly spec: Pick<CertificateSigningRequestSpec, "usages" | "expirationSeconds"> };
  /** The facts of `csr.spec.request`, whose signature the plan verifies. */
  readonly facts: RequestFacts;
  readonly profile: SigningProfile;
  readonly caNotAfter: Date;
  /** The CA and its issuers. Names that their name constraints forbid are refused, because clients would not accept them. */
  readonly issuers?: readonly CertificateFacts[];
  /** When the API trusts the CA, or may trust it, only the two client signers may issue client certificates. */
  readonly clientTrust?: ClientTrust;
  /** The default and the longest lifetime (`--cluster-signing-duration`). */
  readonly signingDurationSeconds: number;
  /** Whether requests for ML-DSA keys are signed (feature gate MLDSA). Default: false. */
  readonly allowMlDsa?: boolean;
  /** The backdate, and the lifetime from which on it counts as a part of the lifetime; as upstream by default. */
  readonly backdating?: { readonly backdateMs: number; readonly shortLifetimeMs: number };
  readonly now: Date;
}

/** Plans the certificate of a CSR: profile first, then signature, usages and validity. */
export function planCertificate(input: PlanInput): Result<CertificatePlan, SigningRefusal> {
  const { csr, facts, profile } = input;
  const asked = csr.spec.usages ?? [];
  const usages = asked.length > 0 ? asked : profile.defaultUsages ?? [];
  const fault = findProfileFault(profile, facts, usages, csr.spec.expirationSeconds);
  if (fault !== undefined) return fail(fault.message, fault.rule);
  const { clientTrust = "distrusted" } = input;
  if (clientTrust !== "distrusted" && !CLIENT_SIGNERS.has(profile.signerName) && isValidForClients(usages)) {
    const why = clientTrust === "trusted"
      ? "the API trusts this CA for clients"
      : "it is unknown whether the API trusts this CA for clients";
    return fail(`client auth is not allowed: ${why}`);
  }
  const forbidden = findIssuersFault(input.issuers ?? [], facts);
  if (forbidden !== undefined) return fail(`the CA's name constraints forbid it: ${forbidden}`);
  const verified = verifyRequest(facts, { allowMlDsa: input.allowMlDsa ?? false });
  if (!verified.ok) return refuse(`unable to verify certificate request signature: ${verified.error}`);
  const unknown = findUnknownUsages(usages);
  if (unknown.length > 0) return refuse(`unrecognized usage values: ${goQuoteList(unknown)}`);
  const keyFault = findKeyUsageFault(facts.keyAlgorithm, usages);
  if (keyFault !== undefined) return fail(keyFault);
  const life = planLife(csr.spec.expirationSeconds, input.signingDurationSeconds, profile.lifetime);
  if (!life.ok) return life;
  const { backdateMs, shortLifetimeMs } = input.backdating ?? {};
  const validity = planValidity(input.now, life.value * 1_000, input.caNotAfter, backdateMs, shortLifetimeMs);
  if (!validity.ok) return refuse(validity.error);
  const { notBefore, notAfter } = validity.value;
  if (profile.lifetime !== undefined && notAfter.getTime() - notBefore.getTime() < profile.lifetime.min * 1_000) {
    return refuse(`the signer ends too soon for this profile: NotAfter=${formatGoTime(input.caNotAfter)}`);
  }
  return ok({
    subject: copySubjectFields(facts.subject),
    publicKeyDer: facts.publicKeyDer,
    dnsNames: facts.dnsNames,
    ipAddresses: facts.ipAddresses,
    emailAddresses: facts.emailAddresses,
    uris: facts.uris,
    notBefore,
    notAfter,
    usages,
    isCa: false,
    ...(profile.extensions === undefined ? {} : { extensions: profile.extensions }),
  });
}

/** Decides the lifetime: as requested, at most the signer's limit, at least ten minutes (in this order). */
export function decideDurationSeconds(requested: number | undefined, limitSeconds: number): number {
  if (requested === undefined || requested > limitSeconds) return limitSeconds;
  // A stored request may be older than the API's own limit.
  return Math.max(requested, MIN_EXPIRATION_SECONDS);
}

/** Decides the lifetime by the profile if it limits it, else by the signer alone. */
function planLife(
  requested: number | undefined,
  signerLimit: number,
  lifetime: ProfileLifetime | undefined,
): Result<number, SigningRefusal> {
  if (lifetime === undefined) return ok(decideDurationSeconds(requested, signerLimit));
  const limit = Math.min(signerLimit, lifetime.max);
  if (limit < lifetime.min) return refuse("the signing duration is below the least lifetime of this profile");
  return ok(Math.min(requested ?? lifetime.default, limit));
}

/** Plans the validity in whole seconds; the error is the text of kube-controller-manager. */
export function planValidity(
  now: Date,
  lifetimeMs: number,
  caNotAfter: Date,
  backdateMs: number = BACKDATE_MS,
  shortLifetimeMs: number = SHORT_LIFETIME_MS,
): Result<{ readonly notBefore: Date; readonly notAfter: Date }, string> {
  const notBefore = now.getTime() - backdateMs;
  const wanted = now.getTime() + lifetimeMs - (lifetimeMs < shortLifetimeMs ? 0 : backdateMs);
  const end = caNotAfter.getTime();
  if (notBefore >= end) return err(`the signer has expired: NotAfter=${formatGoTime(caNotAfter)}`);
  if (now.getTime() >= end) {
    return err(`refusing to sign a certificate that expired in the past: NotAfter=${formatGoTime(caNotAfter)}`);
  }
  return ok({ notBefore: wholeSeconds(notBefore), notAfter: wholeSeconds(Math.min(wanted, end)) });
}

/** Formats a UTC time as Go does by default, with second precision: `2006-01-02 15:04:05 +0000 UTC`. */
function formatGoTime(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace("T", " ")} +0000 UTC`;
}

/** Copies the fields that certificates keep; raw bytes and other attribute types are dropped. */
function copySubjectFields(subject: DistinguishedName): SubjectFields {
  return {
    commonName: subject.commonName,
    organizations: subject.organizations,
    organizationalUnits: subject.organizationalUnits,
    countries: subject.countries,
    localities: subject.localities,
    provinces: subject.provinces,
    streetAddresses: subject.streetAddresses,
    postalCodes: subject.postalCodes,
    serialNumber: subject.serialNumber,
  };
}

/** Reports whether a certificate is valid for clients, which it also is without extended key usages. */
export function isValidForClients(usages: readonly string[]): boolean {
  const known = toExtendedKeyUsageOids(usages);
  return known.length === 0 || ["any", "client auth"].some((usage) => usages.includes(usage));
}

function fail(message: string, rule?: string): Result<never, SigningRefusal> {
  return err({ kind: "failed", reason: VALIDATION_FAILURE, message, ...(rule === undefined ? {} : { rule }) });
}

function refuse(message: string): Result<never, SigningRefusal> {
  return err({ kind: "error", message });
}

/** Rounds a time down to whole seconds, as certificates have them. */
export function wholeSeconds(milliseconds: number): Date {
  return new Date(Math.floor(milliseconds / 1000) * 1000);
}

/**
 * Reports whether the CA or one of its issuers is trusted; undefined when the highest known issuer has an unknown
 * issuer, which may itself be below a trusted CA.
 */
export function findClientTrust(
  { certificate, issuers = [] }: Pick<Authority, "certificate"> & Partial<Pick<Authority, "issuers">>,
  believed: readonly CertificateFacts[],
): boolean | undefined {
  const known = [certificate, ...issuers];
  const isBelieved = believed.some((ca) => known.some((one) => isSameOrIssuer(ca, one)));
  if (isBelieved) return true;
  const top = issuers.at(-1) ?? certificate;
  return believed.length === 0 || isSelfIssued(top) ? false : undefined;
}

/** Decides what a signer assumes. When it is unknown, Kubernetes' own signers act as upstream, and others are cautious. */
export function decideClientTrust(signerName: string, isTrusted: boolean | undefined): ClientTrust {
  if (isTrusted === undefined) return BUILTIN_SIGNERS.has(signerName) ? "distrusted" : "unknown";
  return isTrusted ? "trusted" : "distrusted";
}

function isSameOrIssuer(ca: CertificateFacts, certificate: CertificateFacts): boolean {
  return publicKeysEqual(ca.publicKeyDer, certificate.publicKeyDer) || didIssue(ca, certificate);
}
