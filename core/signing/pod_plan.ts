/**
 * Plans the certificate of a pod and the status of its request (`pkg/apis/certificates/validation`,
 * ValidatePodCertificateRequestStatusUpdate). A kubelet's request for a pod contains only a key. The profile determines
 * the contents of the certificate: exact values, values from annotations of the pod, or defaults. The same rules as for
 * any other request then check the result.
 */
import { verifyRequest } from "../request/parse_request.ts";
import { VALIDATION_FAILURE } from "../request/phase.ts";
import type { PodCertificateRequest, PodCertificateRequestStatus } from "../kube/kinds/certificates_v1.ts";
import { DEFAULT_POD_EXPIRATION_SECONDS, MAX_POD_CHAIN_BYTES } from "../kube/kinds/constants.ts";
import { formatTime } from "../kube/meta.ts";
import { decodeBase64 } from "../lib/encodings.ts";
import type { AlternativeNames } from "../pki/x509/subject_alternative_names.ts";
import { findDnsNameFault, isMailAddress, parseUri } from "../pki/x509/name_syntax.ts";
import { cutLoggedText, escapeControls } from "../lib/printable.ts";
import { matchesPattern } from "../lib/linear_text.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { isAscii } from "../pki/asn1/der_text.ts";
import type { CertificatePlan } from "../pki/authority/issue.ts";
import type { KeyAlgorithmOptions } from "../pki/keys/key_names.ts";
import { parseCertificationRequest, type RequestFacts } from "../pki/x509/pkcs10.ts";
import { encodeName, type SubjectFields } from "../pki/x509/names.ts";
import { createCustomProfile } from "./custom_profile.ts";
import { isValidForClients, planCertificate, type PlanInput, type ProfileFault, wholeSeconds } from "./profile.ts";
import {
  fillPlaceholders,
  findPodFactFault,
  listKubeletKeyTypes,
  type PodFacts,
  type PodRules,
  type ProfileSpec,
  RESTRICTED_POD_FACTS,
  SUBJECT_FIELDS,
  toPodFacts,
  type ValueRule,
} from "./profile_spec.ts";

/** The certificate of a pod, and the time from which its kubelet requests the next one. */
export interface PodCertificatePlan {
  readonly certificate: CertificatePlan;
  readonly beginRefreshAt: Date;
}

/** A final refusal: the profile refuses the request (Denied), or it cannot be signed (Failed). */
export interface LastingRefusal {
  readonly kind: "Denied" | "Failed";
  readonly reason: string;
  readonly message: string;
}

/** Why a request gets no certificate. */
type PodRefusal =
  | LastingRefusal
  /** A failure that may be temporary, such as an expired CA, so the signer tries again later. */
  | { readonly kind: "error"; readonly message: string };

export interface PodPlanInput extends Omit<PlanInput, "csr" | "facts" | "profile" | "backdating"> {
  readonly request: PodCertificateRequest;
  /** The profile of the signer, with its section `pods`. */
  readonly spec: ProfileSpec;
}

/** The reason of a denial for a key (staging `k8s.io/api/certificates/v1/types.go`). */
const UNSUPPORTED_KEY_TYPE = "UnsupportedKeyType";
/** The reason of a denial for an annotation, from the same file. */
const INVALID_ANNOTATIONS = "InvalidUnverifiedUserAnnotations";
/** The reason of any other denial. */
const NOT_ALLOWED = "NotAllowedByProfile";

/**
 * The API allows `notBefore` less than five minutes from its clock, and counts a lifetime from there. Two minutes are
 * upstream's choice (`test/utils/hermeticpodcertificatesigner`).
 */
const BACKDATING = { backdateMs: 2 * 60_000, shortLifetimeMs: 0 };
/** The time that the API requires between `beginRefreshAt` and both ends of the lifetime. */
const REFRESH_MARGIN_MS = 10 * 60_000;
/** The DER of a subject without attributes. */
const EMPTY_NAME_BYTES = 2;

/**
 * Plans the certificate of a pod. It checks the pod, then its request and its annotations, and then plans as for any
 * other certificate.
 */
export function planPodCertificate(input: PodPlanInput): Result<PodCertificatePlan, PodRefusal> {
  const { request, spec, clientTrust } = input;
  const { signerName, maxExpirationSeconds: expirationSeconds = DEFAULT_POD_EXPIRATION_SECONDS } = request.spec;
  const { unverifiedUserAnnotations = {} } = request.spec;
  const pod = toPodFacts(request);
  const podFault = findPodFactFault(pod) ?? findPodFault(spec.pods ?? {}, pod);
  if (podFault !== undefined) return deny(NOT_ALLOWED, podFault);
  const stub = parseStub(request.spec.stubPKCS10Request, input);
  if (!stub.ok) return fail(stub.error);
  if (hasSubjectOrExtensions(stub.value)) {
    return deny(NOT_ALLOWED, "stubPKCS10Request has a subject or extensions, which a kubelet does not send");
  }
  const known = listAnnotations(spec);
  const unknown = Object.keys(unverifiedUserAnnotations).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    const others = known.length === 0 ? "this signer allows none" : `this signer allows ${known.join(", ")}`;
    return deny(INVALID_ANNOTATIONS, `annotation is not allowed: ${unknown}; ${others}`);
  }
  const filled = fillProfile(spec, pod);
  const composed = composePodRequest(filled, stub.value, unverifiedUserAnnotations);
  const getReason = (rule: string) => composed.annotatedRules.has(rule) ? INVALID_ANNOTATIONS : NOT_ALLOWED;
  const planned = planCertificate({
    ...input,
    csr: { spec: { usages: composed.usages, expirationSeconds } },
    facts: composed.facts,
    profile: createCustomProfile(signerName, filled),
    clientTrust: clientTrust === "trusted" ? clientTrust : "distrusted",
    backdating: BACKDATING,
  });
  if (!planned.ok) {
    const { error } = planned;
    if (error.kind === "error") return err(error);
    if (error.rule === undefined) return fail(error.message);
    if (error.rule === "key") return deny(UNSUPPORTED_KEY_TYPE, `${error.message}; ${suggestKeys(spec)}`);
    return deny(getReason(error.rule), error.message);
  }
  const certificate = planned.value;
  if (clientTrust === "unknown" && isValidForClients(certificate.usages)) {
    return err({ kind: "error", message: "it is unknown whether the API trusts this CA for clients" });
  }
  const nameFault = findNameFault(certificate);
  if (nameFault !== undefined) return deny(getReason(nameFault.rule), nameFault.message);
  return ok({ certificate, beginRefreshAt: planRefresh(certificate, spec.lifetime.refreshBeforeMs) });
}

/** Finds out why the API would not accept a chain (PEM), which annotations with many names can make too long. */
export function findChainFault(chain: string): LastingRefusal | undefined {
  if (chain.length <= MAX_POD_CHAIN_BYTES) return undefined;
  const message = `the certificate chain has ${chain.length} bytes, and the API accepts ${MAX_POD_CHAIN_BYTES}`;
  return { kind: "Failed", reason: VALIDATION_FAILURE, message };
}

/** Creates the status of a request whose certificate is issued; `chain` is PEM, leaf first. */
export function createIssuedStatus(
  { certificate, beginRefreshAt }: PodCertificatePlan,
  chain: string,
  now: Date,
): PodCertificateRequestStatus {
  return {
    conditions: [createCondition("Issued", "Issued", "The certificate was issued.", now)],
    certificateChain: chain,
    notBefore: formatTime(certificate.notBefore),
    beginRefreshAt: formatTime(beginRefreshAt),
    notAfter: formatTime(certificate.notAfter),
  };
}

export function createRefusedStatus(
  { kind, reason, message }: LastingRefusal,
  now: Date,
): PodCertificateRequestStatus {
  return { conditions: [createCondition(kind, reason, message, now)] };
}

function createCondition(type: string, reason: string, message: string, now: Date) {
  // The API limits messages, but annotations may be long and contain any text.
  const text = cutLoggedText(escapeControls(message));
  return { type, status: "True", lastTransitionTime: formatTime(now), reason, message: text };
}

function parseStub(base64: string | null, options: KeyAlgorithmOptions): Result<RequestFacts, string> {
  const der = decodeBase64(base64 ?? "");
  if (der === undefined) return err("stubPKCS10Request is not base64");
  const request = parseCertificationRequest(der);
  const verified = request.ok ? verifyRequest(request.value, options) : request;
  return verified.ok ? verified : err(`stubPKCS10Request is not valid: ${verified.error}`);
}

function hasSubjectOrExtensions({ subject, requestedExtensions }: RequestFacts): boolean {
  return subject.raw.length > EMPTY_NAME_BYTES || requestedExtensions.length > 0;
}

/**
 * Finds a name that a certificate cannot have, or that the API refuses. A parsed request has no such name, but
 * annotations, and exact values with the name of a pod, may have one.
 */
function findNameFault({ dnsNames, uris, emailAddresses }: AlternativeNames): ProfileFault | undefined {
  const dnsFault = dnsNames.map((name) => findDnsNameFault(name.replace(/^\*\./, ""))).find(Boolean);
  if (dnsFault !== undefined) return { rule: "dnsNames", message: dnsFault };
  const uri = uris.find((text) => !isAscii(text) || "fault" in parseUri(text));
  if (uri !== undefined) return { rule: "uris", message: `"${uri}" is not a URI` };
  const email = emailAddresses.find((text) => !isAscii(text) || !isMailAddress(text));
  return email === undefined ? undefined : { rule: "emailAddresses", message: `"${email}" is not an e-mail address` };
}

function suggestKeys({ keys }: ProfileSpec): string {
  return `keyType may be ${listKubeletKeyTypes(keys).join(" or ")}`;
}

/** Plans when the kubelet begins to refresh a certificate, by the profile and within the limits of the API. */
function planRefresh({ notBefore, notAfter }: CertificatePlan, refreshBeforeMs: number | undefined): Date {
  const [begin, end] = [notBefore.getTime(), notAfter.getTime()];
  const refreshAt = end - (refreshBeforeMs ?? (end - begin) / 3);
  const time = Math.min(Math.max(refreshAt, begin + REFRESH_MARGIN_MS), end - REFRESH_MARGIN_MS);
  return wholeSeconds(time);
}

function deny(reason: string, message: string): Result<never, PodRefusal> {
  return err({ kind: "Denied", reason, message });
}

function fail(message: string): Result<never, PodRefusal> {
  return err({ kind: "Failed", reason: VALIDATION_FAILURE, message });
}

/** The alternative names of a request, and the kinds of names of a profile. */
const NAME_KINDS = [
  ["dnsNames", "dns"],
  ["ipAddresses", "ips"],
  ["uris", "uris"],
  ["emailAddresses", "emails"],
] as const;

/** The rules on usages (`createCustomProfile`). */
const USAGE_RULES = ["usages", "requiredUsages", "extendedUsages"];

/** Finds out why the profile does not apply to a pod. */
function findPodFault(rules: PodRules, facts: PodFacts): string | undefined {
  const bad = RESTRICTED_POD_FACTS.find((name) =>
    rules[name]?.some((pattern) => matchesPattern(facts[name], pattern)) === false
  );
  return bad === undefined ? undefined : `${bad} is not allowed: ${facts[bad]}`;
}

function fillProfile(spec: ProfileSpec, facts: PodFacts): ProfileSpec {
  const fill = (values: readonly string[]) => values.map((value) => fillPlaceholders(value, facts));
  const fillRule = (rule: ValueRule): ValueRule => ({
    ...rule,
    allowed: fill(rule.allowed),
    ...(rule.exactly === undefined ? {} : { exactly: fill(rule.exactly) }),
    ...(rule.default === undefined ? {} : { default: fill(rule.default) }),
  });
  const fillRules = <Key extends string>(keys: readonly Key[], rules: { readonly [K in Key]?: ValueRule }) => {
    const filled: { [K in Key]?: ValueRule } = {};
    for (const key of keys) {
      const rule = rules[key];
      if (rule !== undefined) filled[key] = fillRule(rule);
    }
    return filled;
  };
  return {
    ...spec,
    subject: fillRules(SUBJECT_FIELDS, spec.subject),
    names: { ...spec.names, ...fillRules(NAME_KINDS.map(([, kind]) => kind), spec.names) },
  };
}

/** A kubelet's request, completed from the profile and the annotations of the pod. */
interface ComposedRequest {
  readonly facts: RequestFacts;
  readonly usages: readonly string[];
  /** The names of the rules that check values of annotations. */
  readonly annotatedRules: ReadonlySet<string>;
}

function listAnnotations({ subject, names, usages }: ProfileSpec): readonly string[] {
  const rules = [
    ...SUBJECT_FIELDS.map((field) => subject[field]),
    ...NAME_KINDS.map(([, kind]) => names[kind]),
    usages,
  ];
  return rules.flatMap((rule) => rule?.annotation ?? []);
}

/** Adds the values of the filled profile and of the pod's annotations to a kubelet's request. */
function composePodRequest(
  { subject, names, usages }: ProfileSpec,
  stub: RequestFacts,
  annotations: Readonly<Record<string, string>>,
): ComposedRequest {
  const annotatedRules = new Set<string>();
  function readValues(rule: FilledRule | undefined, checks: readonly string[], isSingle = false): readonly string[] {
    const text = rule?.annotation === undefined ? undefined : annotations[rule.annotation];
    if (text === undefined) return rule?.exactly ?? rule?.default ?? [];
    for (const name of checks) annotatedRules.add(name);
    return isSingle ? [text] : text.split(",").map((value) => value.trim());
  }
  const fields = Object.fromEntries(SUBJECT_FIELDS.map((field) => {
    const isSingle = field === "commonName" || field === "serialNumber";
    const values = readValues(subject[field], [field], isSingle);
    return [field, isSingle ? values[0] ?? "" : values];
  })) as Required<SubjectFields>;
  const alternatives = NAME_KINDS.map(([kind, key]) => [kind, readValues(names[key], [kind])]);
  return {
    facts: {
      ...stub,
      ...Object.fromEntries(alternatives) as AlternativeNames,
      subject: { ...stub.subject, ...fields, raw: encodeName(fields) },
    },
    usages: readValues(usages, USAGE_RULES),
    annotatedRules,
  };
}

type FilledRule = Pick<ValueRule, "annotation" | "exactly" | "default">;
