/**
 * The work of a signer. Its signing profile has the requirements on requests (`pkg/apis/certificates/helpers.go`,
 * `pkg/controller/certificates/signer/signer.go`), and the plan describes the certificate for an approved request that
 * meets them (`pkg/controller/certificates/authority/policies.go`). The plan contains only known parts of the request,
 * and depends on whether the API trusts the CA for clients. A client can predict refusals before it generates a key or
 * sends a request.
 */
import type { CertificateSigningRequest, CertificateSigningRequestSpec } from "../kube/kinds/certificates_v1.ts";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
  LEGACY_UNKNOWN_SIGNER,
  MIN_EXPIRATION_SECONDS,
} from "../kube/kinds/constants.ts";
import { NODE_USER_PREFIX, NODES_GROUP } from "../kube/user.ts";
import type { PlannedExtension } from "../pki/x509/certificate_extensions.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import type { SubjectField } from "./profile_spec.ts";
import { formatFieldError } from "../kube/status/field_error.ts";
import { parseRequest, verifyRequest } from "../request/parse_request.ts";
import type { KeyAlgorithmOptions } from "../pki/keys/key_names.ts";
import { findSubjectRestriction, validateCsrCreate } from "../request/validate.ts";
import { VALIDATION_FAILURE } from "../request/phase.ts";
import { findKeyUsageFault, findUnknownUsages, toExtendedKeyUsageOids } from "../pki/x509/usages.ts";
import { goQuoteList } from "../lib/go_text.ts";
import { type CertificateFacts, isSelfIssued } from "../pki/x509/certificate.ts";
import type { DistinguishedName, SubjectFields } from "../pki/x509/names.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { findIssuersFault } from "../pki/x509/name_constraints.ts";
import type { CertificatePlan } from "../pki/authority/issue.ts";
import type { Authority } from "../pki/authority/authority.ts";
import { publicKeysEqual } from "../pki/keys/keys.ts";
import { didIssue } from "../pki/x509/ca_bundle.ts";

/** The part of a request that a rule applies to. */
export type RequestPart =
  | SubjectField
  | "organization"
  | "subject"
  | "subjectAltNames"
  | "dnsNames"
  | "ipAddresses"
  | "emailAddresses"
  | "uris"
  | "otherNames"
  | "usages"
  | "requiredUsages"
  | "extendedUsages"
  | "key"
  | "lifetime";

/** One requirement. The fault becomes the message of the Failed condition. */
export interface ProfileRule {
  readonly name: RequestPart;
  /** The requirement in help texts: `the subject organization is system:nodes`. */
  readonly sentence: string;
  /** Returns the fault, or undefined when the request satisfies the rule. */
  check(facts: RequestFacts, usages: readonly string[], expirationSeconds?: number): string | undefined;
}

/** A signer's requirements, in the order in which they are checked. */
export interface SigningProfile {
  readonly signerName: string;
  readonly rules: readonly ProfileRule[];
  /** The limits of the lifetime; by default the signer's own limit, without a minimum. */
  readonly lifetime?: ProfileLifetime;
  /** The default usages, for a request without any. The API refuses such a request, but a file may contain one. */
  readonly defaultUsages?: readonly string[];
  /** Extensions that every certificate gets. */
  readonly extensions?: readonly PlannedExtension[];
  /** Whether the intermediates follow each certificate; by default the flags of the CA decide. */
  readonly chain?: boolean;
  /** Further properties of the certificates, in sentences for help texts. */
  readonly remarks?: readonly string[];
}

/** How long certificates are valid, in seconds. */
export interface ProfileLifetime {
  readonly max: number;
  readonly default: number;
  /** The shortest lifetime; a rule refuses requests for less. */
  readonly min: number;
}

/** The fault of a request, and the name of the rule that refuses it. */
export interface ProfileFault {
  readonly rule: string;
  readonly message: string;
}

/** Finds the first fault of a request, or undefined when the profile allows it. */
export function checkProfile(
  profile: SigningProfile,
  facts: RequestFacts,
  usages: readonly string[],
  expirationSeconds?: number,
): ProfileFault | undefined {
  for (const { name, check } of profile.rules) {
    const message = check(facts, usages, expirationSeconds);
    if (message !== undefined) return { rule: name, message };
  }
  return undefined;
}

/** Describes a profile in sentences, one per line: its signer, its requirements, and its certificates. */
export function describeProfile({ signerName, rules, remarks = [] }: SigningProfile): readonly string[] {
  return [
    `Signer ${signerName}${rules.length === 0 ? " requires nothing and guarantees nothing." : " requires that"}`,
    ...rules.map(({ sentence }) => `  ${sentence}`),
    ...remarks,
  ];
}

const isNodesOrganization = rule("organization", `the subject organization is ${NODES_GROUP}`, ({ subject }) => {
  const [only, ...more] = subject.organizations;
  return only === NODES_GROUP && more.length === 0 ? undefined : `subject organization is not ${NODES_GROUP}`;
});
const isNodeCommonName = rule(
  "commonName",
  `the subject common name begins with ${NODE_USER_PREFIX}`,
  ({ subject }) =>
    // An empty node name after the prefix passes upstream too.
    subject.commonName.startsWith(NODE_USER_PREFIX)
      ? undefined
      : `subject common name does not begin with ${NODE_USER_PREFIX}`,
);
const hasNoDnsNames = rule("dnsNames", "there are no DNS names", (facts) => refuseAny("DNS", facts.dnsNames));
const hasNoEmailAddresses = rule(
  "emailAddresses",
  "there are no e-mail addresses",
  (facts) => refuseAny("Email", facts.emailAddresses),
);
const hasNoIpAddresses = rule(
  "ipAddresses",
  "there are no IP addresses",
  (facts) => refuseAny("IP", facts.ipAddresses),
);
const hasNoUris = rule("uris", "there are no URIs", (facts) => refuseAny("URI", facts.uris));
const hasDnsNameOrIpAddress = rule(
  "subjectAltNames",
  "there is a DNS name or an IP address",
  (facts) => facts.dnsNames.length + facts.ipAddresses.length > 0 ? undefined : "DNS or IP subjectAltName is required",
);

/** The requirements on kubelets' client certificates (kube-apiserver-client-kubelet). */
const kubeletClient: SigningProfile = {
  signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  rules: [
    isNodesOrganization,
    hasNoDnsNames,
    hasNoEmailAddresses,
    hasNoIpAddresses,
    hasNoUris,
    isNodeCommonName,
    nodeUsages("client auth", "usages did not match [client auth digital signature key encipherment]"),
  ],
};

/** The requirements on kubelets' serving certificates (kubelet-serving). */
const kubeletServing: SigningProfile = {
  signerName: KUBELET_SERVING_SIGNER,
  rules: [
    isNodesOrganization,
    hasDnsNameOrIpAddress,
    hasNoEmailAddresses,
    hasNoUris,
    nodeUsages("server auth", "usages did not match [digital signature key encipherment server auth]"),
    isNodeCommonName,
  ],
};

/** The requirements on API client certificates. Subject and SANs are unrestricted, because an approver has checked them. */
const apiServerClient: SigningProfile = {
  signerName: KUBE_APISERVER_CLIENT_SIGNER,
  rules: [
    rule("usages", "the usages are client auth and perhaps digital signature, key encipherment", (_facts, usages) => {
      const allowed = ["digital signature", "key encipherment", "client auth"];
      const bad = usages.find((usage) => !allowed.includes(usage));
      if (bad !== undefined) return `invalid usage for client certificate: ${bad}`;
      return usages.includes("client auth") ? undefined : "missing required usage for client certificate: client auth";
    }),
  ],
};

/** The legacy signer, which has no requirements and no guarantees. */
const legacyUnknown: SigningProfile = { signerName: LEGACY_UNKNOWN_SIGNER, rules: [] };

/** The profiles of the four signers that kube-controller-manager has, by signer name. */
export const BUILTIN_SIGNERS: ReadonlyMap<string, SigningProfile> = new Map(
  [kubeletServing, kubeletClient, apiServerClient, legacyUnknown].map((profile) => [profile.signerName, profile]),
);

/** Reports whether a request has the shape of a kubelet's client request, whatever its signer. */
export function isKubeletClientRequest(facts: RequestFacts, usages: readonly string[]): boolean {
  return checkProfile(kubeletClient, facts, usages) === undefined;
}

export function rule(name: RequestPart, sentence: string, check: ProfileRule["check"]): ProfileRule {
  return { name, sentence, check };
}

/** Creates the rule for node usages. Key encipherment is optional since 1.27; order and duplicates do not count. */
function nodeUsages(purpose: string, fault: string): ProfileRule {
  const sentence = `the usages are ${purpose} and digital signature, and perhaps key encipherment`;
  return rule("usages", sentence, (_facts, usages) => {
    const unique = new Set(usages);
    const hasRequired = [purpose, "digital signature"].every((usage) => unique.has(usage));
    const others = unique.size - 2 - (unique.has("key encipherment") ? 1 : 0);
    return hasRequired && others === 0 ? undefined : fault;
  });
}

function refuseAny(kind: string, names: readonly string[]): string | undefined {
  return names.length === 0 ? undefined : `${kind} subjectAltNames are not allowed`;
}

/**
 * Predicts the refusals of the API, its admission and the signer, with their exact messages; empty when there are none.
 * It knows only the four signers of Kubernetes.
 */
export function findRefusals(
  csr: CertificateSigningRequest,
  options: KeyAlgorithmOptions = {},
): readonly string[] {
  const { signerName, usages = [] } = csr.spec;
  const faults = validateCsrCreate(csr, options).map(formatFieldError);
  const request = parseRequest(csr.spec.request);
  if (!request.ok || faults.length > 0) return faults;
  const restriction = findSubjectRestriction(signerName, request.value.subject.organizations);
  const profile = BUILTIN_SIGNERS.get(signerName);
  const refusal = profile === undefined ? undefined : checkProfile(profile, request.value, usages);
  return [
    ...(restriction === undefined ? [] : [restriction]),
    ...(refusal === undefined ? [] : [`the signer ${signerName} refuses it: ${refusal.message}`]),
  ];
}

/**
 * The backdate of certificates, for clients whose clock is behind, as in kubeadm (`CertificateBackdate`,
 * `cmd/kubeadm/app/constants/constants.go`).
 */
export const BACKDATE_MS = 5 * 60_000;
/** The lifetime of certificates by default: a year, as with `--cluster-signing-duration` of kube-controller-manager. */
export const DEFAULT_SIGNING_SECONDS = 365 * 86_400;
/** The lifetime below which the backdate is added, so that the client gets the whole requested lifetime. */
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
  /** Whether the API trusts the CA; unless it does not, only the two client signers may issue client certificates. */
  readonly clientTrust?: ClientTrust;
  /** The default and the longest lifetime (`--cluster-signing-duration`). */
  readonly signingDurationSeconds: number;
  /** Whether requests for ML-DSA keys are signed (feature gate MLDSA). Default: false. */
  readonly allowMlDsa?: boolean;
  /** The backdate, and the shortest lifetime that includes it; as upstream by default. */
  readonly backdating?: { readonly backdateMs: number; readonly shortLifetimeMs: number };
  readonly now: Date;
}

/** Plans the certificate of a CSR: profile first, then signature, usages and validity. */
export function planCertificate(input: PlanInput): Result<CertificatePlan, SigningRefusal> {
  const { csr, facts, profile } = input;
  const requested = csr.spec.usages ?? [];
  const usages = requested.length > 0 ? requested : profile.defaultUsages ?? [];
  const fault = checkProfile(profile, facts, usages, csr.spec.expirationSeconds);
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
  const lifetime = planLifetime(csr.spec.expirationSeconds, input.signingDurationSeconds, profile.lifetime);
  if (!lifetime.ok) return lifetime;
  const { backdateMs, shortLifetimeMs } = input.backdating ?? {};
  const validity = planValidity(input.now, lifetime.value * 1_000, input.caNotAfter, backdateMs, shortLifetimeMs);
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
  // A stored request may be older than the limit of the API.
  return Math.max(requested, MIN_EXPIRATION_SECONDS);
}

/** Decides the lifetime by the profile if it has a limit, else by the signer. */
function planLifetime(
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
  const requestedEnd = now.getTime() + lifetimeMs - (lifetimeMs < shortLifetimeMs ? 0 : backdateMs);
  const end = caNotAfter.getTime();
  if (notBefore >= end) return err(`the signer has expired: NotAfter=${formatGoTime(caNotAfter)}`);
  if (now.getTime() >= end) {
    return err(`refusing to sign a certificate that expired in the past: NotAfter=${formatGoTime(caNotAfter)}`);
  }
  return ok({ notBefore: wholeSeconds(notBefore), notAfter: wholeSeconds(Math.min(requestedEnd, end)) });
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

/** Reports whether a certificate is valid for clients. Without extended key usages it is. */
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
  trustedCas: readonly CertificateFacts[],
): boolean | undefined {
  const known = [certificate, ...issuers];
  const isTrusted = trustedCas.some((ca) => known.some((certificate) => isSameOrIssuer(ca, certificate)));
  if (isTrusted) return true;
  const top = issuers.at(-1) ?? certificate;
  return trustedCas.length === 0 || isSelfIssued(top) ? false : undefined;
}

/**
 * Decides which trust a signer assumes. If it is unknown, Kubernetes' own signers behave as upstream, and others are
 * cautious.
 */
export function decideClientTrust(signerName: string, isTrusted: boolean | undefined): ClientTrust {
  if (isTrusted === undefined) return BUILTIN_SIGNERS.has(signerName) ? "distrusted" : "unknown";
  return isTrusted ? "trusted" : "distrusted";
}

function isSameOrIssuer(ca: CertificateFacts, certificate: CertificateFacts): boolean {
  return publicKeysEqual(ca.publicKeyDer, certificate.publicKeyDer) || didIssue(ca, certificate);
}
