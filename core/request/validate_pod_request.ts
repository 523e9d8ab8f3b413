/**
 * Validates PodCertificateRequests on creation and on both updates (`pkg/apis/certificates/validation/validation.go`).
 * The generic registry validates metadata.
 */
import type { PodCertificateRequest, PodCertificateRequestSpec } from "../kube/kinds/certificates_v1.ts";
import {
  DEFAULT_POD_EXPIRATION_SECONDS,
  MAX_POD_CHAIN_BYTES,
  MIN_POD_EXPIRATION_SECONDS,
} from "../kube/kinds/constants.ts";
import {
  checkEach,
  type FieldError,
  invalid,
  invalidName,
  invalidOmitted,
  notSupported,
  notSupportedName,
  requiredField,
  tooLong,
} from "../kube/status/field_error.ts";
import { byteLength, clampToInt64 } from "../lib/go_text.ts";
import { isEqualJson } from "../kube/json_value.ts";
import type { Condition } from "../kube/meta.ts";
import { dns1123SubdomainErrors, qualifiedNameErrors } from "../kube/names.ts";
import { validateAnnotationsSize, validateConditions } from "../kube/rules/meta_v1.ts";
import { decodeBase64 } from "../lib/encodings.ts";
import { isMailAddress } from "../pki/x509/name_syntax.ts";
import { type CertificateFacts, parseCertificate } from "../pki/x509/certificate.ts";
import { isMlDsa, type KeyAlgorithmOptions } from "../pki/keys/key_names.ts";
import { findPemBlock } from "../pki/asn1/pem.ts";
import { parseCertificationRequest, type RequestFacts, verifyRequestSignature } from "../pki/x509/pkcs10.ts";
import { publicKeysEqual } from "../pki/keys/public_key.ts";
import { validateSignerName } from "./signer_name.ts";

// `pkg/apis/certificates/types.go` has the limits.
const REQUEST_MAX_BYTES = 10_240;
const UID_MAX_BYTES = 128;
const MAX_EXPIRATION = 91 * 86_400;
/** The longest lifetime of a certificate from a signer of Kubernetes itself. */
const MAX_KUBERNETES_EXPIRATION = 86_400;

const REQUEST = "spec.stubPKCS10Request";
const CONDITIONS = "status.conditions";
const CHAIN = "status.certificateChain";
/** The types of conditions, each of which ends a request. */
const FINAL_TYPES: readonly string[] = ["Issued", "Denied", "Failed"];

const MINUTE_MS = 60_000;

/** Sets the lifetime when it is absent (`pkg/apis/certificates/v1/zz_generated.defaults.go`). */
export function defaultPodRequest(request: PodCertificateRequest): PodCertificateRequest {
  if (request.spec.maxExpirationSeconds !== undefined) return request;
  const { stubPKCS10Request, unverifiedUserAnnotations, ...rest } = request.spec;
  const spec = {
    ...rest,
    maxExpirationSeconds: DEFAULT_POD_EXPIRATION_SECONDS,
    // Go's JSON has these two fields after the lifetime.
    stubPKCS10Request,
    ...(unverifiedUserAnnotations === undefined ? {} : { unverifiedUserAnnotations }),
  };
  return { ...request, spec };
}

/** Validates a new request; the faults are in the order of kube-apiserver. */
export function validatePodRequestCreate(
  { spec }: PodCertificateRequest,
  options: KeyAlgorithmOptions = {},
): FieldError[] {
  return [
    ...validateSignerName("spec.signerName", spec.signerName),
    ...validateUserAnnotations(spec.unverifiedUserAnnotations ?? {}),
    ...dns1123SubdomainErrors(spec.podName).map((text) => invalid("spec.podName", spec.podName, text)),
    ...validateUid("spec.podUID", spec.podUID),
    ...dns1123SubdomainErrors(spec.serviceAccountName)
      .map((text) => invalid("spec.serviceAccountName", spec.serviceAccountName, text)),
    ...validateUid("spec.serviceAccountUID", spec.serviceAccountUID),
    ...dns1123SubdomainErrors(spec.nodeName).map((text) => invalidName("spec.nodeName", spec.nodeName, text)),
    ...validateUid("spec.nodeUID", spec.nodeUID),
    ...validateExpiration(spec),
    ...validateStubRequest(spec.stubPKCS10Request, options),
  ];
}

/** Validates an update of the main resource, which can change metadata only. */
export function validatePodRequestUpdate(
  { spec }: PodCertificateRequest,
  old: PodCertificateRequest,
): FieldError[] {
  return isEqualJson(spec, old.spec) ? [] : [invalid("spec", toInternalSpec(spec), "field is immutable")];
}

/** Validates an update of `/status`, whose metadata and spec the strategy has restored. */
export function validatePodRequestStatusUpdate(
  request: PodCertificateRequest,
  old: PodCertificateRequest,
  now: Date,
): FieldError[] {
  const conditions = request.status.conditions ?? [];
  const faults = [...validateFinalConditions(conditions), ...validateConditions(conditions, CONDITIONS)];
  if (faults.length > 0) return faults;
  const isUnchanged = isEqualJson(request.status, old.status);
  if (findFinalType(old) !== undefined) {
    const detail = "immutable after PodCertificateRequest is issued, denied, or failed";
    return isUnchanged ? [] : [invalidOmitted("status", detail)];
  }
  switch (findFinalType(request)) {
    case undefined: {
      const detail = 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"';
      return isUnchanged ? [] : [invalidOmitted("status", detail)];
    }
    case "Issued":
      return validateIssued(request, now);
    default: {
      const detail = "non-condition status fields must be empty when denying or failing the PodCertificateRequest";
      return isEqualJson(request.status, { conditions }) ? [] : [invalidOmitted("status", detail)];
    }
  }
}

function validateUserAnnotations(annotations: Readonly<Record<string, string>>): FieldError[] {
  const path = "spec.unverifiedUserAnnotations";
  return [
    ...checkEach(Object.keys(annotations), (sent) => {
      const key = sent.toLowerCase();
      if (key === "") return [requiredField(path)];
      const texts = qualifiedNameErrors(key);
      if (texts.length > 0) return texts.map((text) => invalid(path, key, text));
      return key.includes("/") ? [] : [invalid(path, key, 'must be a domain-prefixed key (such as "acme.io/foo")')];
    }),
    ...validateAnnotationsSize(annotations, path),
  ];
}

function validateUid(path: string, uid: string): FieldError[] {
  if (uid === "") return [invalidName(path, uid, "must not be empty")];
  return byteLength(uid) > UID_MAX_BYTES ? [tooLong(path, UID_MAX_BYTES)] : [];
}

function validateExpiration(
  { signerName, maxExpirationSeconds = DEFAULT_POD_EXPIRATION_SECONDS }: PodCertificateRequestSpec,
): FieldError[] {
  const domain = signerName.split("/", 1)[0]!;
  const isOfKubernetes = domain === "kubernetes.io" || domain.endsWith(".kubernetes.io");
  const max = isOfKubernetes ? MAX_KUBERNETES_EXPIRATION : MAX_EXPIRATION;
  if (maxExpirationSeconds >= MIN_POD_EXPIRATION_SECONDS && maxExpirationSeconds <= max) return [];
  const detail = `must be in the range [${MIN_POD_EXPIRATION_SECONDS}, ${max}]`;
  return [invalid("spec.maxExpirationSeconds", maxExpirationSeconds, detail)];
}

function validateStubRequest(base64: string | null, options: KeyAlgorithmOptions): FieldError[] {
  const der = decodeBase64(base64 ?? "") ?? new Uint8Array();
  if (der.length === 0) {
    // v1 has no pkixPublicKey and proofOfPossession, but the message is the same in every version.
    const detail = "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set";
    return [invalidOmitted("spec", detail)];
  }
  if (der.length > REQUEST_MAX_BYTES) return [tooLong(REQUEST, REQUEST_MAX_BYTES)];
  const parsed = parseCertificationRequest(der);
  if (!parsed.ok) return [invalidOmitted(REQUEST, "must be a valid PKCS#10 CSR")];
  const fault = findKeyFault(parsed.value, options);
  if (fault !== undefined) return [fault];
  return verifyRequestSignature(parsed.value, options).ok ? [] : [invalidOmitted(REQUEST, "invalid signature")];
}

function findKeyFault(
  { publicKey: { algorithm, bits, curve } }: RequestFacts,
  { allowMlDsa = false }: KeyAlgorithmOptions,
): FieldError | undefined {
  switch (algorithm) {
    case "Ed25519":
      return undefined;
    case "ECDSA":
      if (bits !== 224) return undefined;
      return invalid(REQUEST, `curve ${curve}`, "elliptic public keys must use curve P256, P384, or P521");
    case "RSA": {
      // Go counts whole bytes (`rsa.PublicKey.Size`).
      const size = Math.ceil(bits / 8) * 8;
      if (size === 3072 || size === 4096) return undefined;
      return invalid(REQUEST, `${size}-bit modulus`, "RSA keys must have modulus size 3072 or 4096");
    }
    default:
      // Kubernetes 1.38 plans to accept these keys (kubernetes/kubernetes#142108).
      if (allowMlDsa && isMlDsa(algorithm)) return undefined;
      return invalidOmitted(REQUEST, "unknown public key type; supported types are Ed25519, ECDSA, and RSA");
  }
}

/** Returns a spec with the field names of upstream's internal type, which its messages print. */
function toInternalSpec(spec: PodCertificateRequestSpec): object {
  return {
    SignerName: spec.signerName,
    PodName: spec.podName,
    PodUID: spec.podUID,
    ServiceAccountName: spec.serviceAccountName,
    ServiceAccountUID: spec.serviceAccountUID,
    NodeName: spec.nodeName,
    NodeUID: spec.nodeUID,
    MaxExpirationSeconds: spec.maxExpirationSeconds ?? null,
    PKIXPublicKey: null,
    ProofOfPossession: null,
    StubPKCS10Request: spec.stubPKCS10Request,
    UnverifiedUserAnnotations: spec.unverifiedUserAnnotations ?? null,
  };
}

function validateFinalConditions(conditions: readonly Condition[]): FieldError[] {
  let known = 0;
  return checkEach(conditions, ({ type, status }, index) => {
    // Upstream treats the index as a field, so the path has a dot before it.
    const path = `${CONDITIONS}.[${index}]`;
    if (!FINAL_TYPES.includes(type)) return [notSupported(`${path}.type`, type, FINAL_TYPES)];
    known++;
    const detail = 'There may be at most one condition with type "Issued", "Denied", or "Failed"';
    return [
      ...(known > 1 ? [invalid(`${path}.type`, type, detail)] : []),
      ...(status === "True" ? [] : [notSupportedName(`${path}.status`, status, ["True"])]),
    ];
  });
}

/** Finds the type of the condition that ends a request. */
function findFinalType({ status }: PodCertificateRequest): string | undefined {
  return status.conditions?.find(({ type, status }) => FINAL_TYPES.includes(type) && status === "True")?.type;
}

function validateIssued({ spec, status }: PodCertificateRequest, now: Date): FieldError[] {
  const chain = status.certificateChain ?? "";
  if (byteLength(chain) > MAX_POD_CHAIN_BYTES) return [tooLong(CHAIN, MAX_POD_CHAIN_BYTES)];
  const first = findPemBlock(chain);
  if (first === undefined) {
    return [invalid(CHAIN, chain, "issued certificate chain must contain at least one certificate")];
  }
  if (first.block.label !== "CERTIFICATE") {
    return [invalid(CHAIN, chain, "issued certificate chain must consist entirely of CERTIFICATE PEM blocks")];
  }
  const leaf = parseCertificate(first.block.bytes);
  if (!leaf.ok) return [invalid(CHAIN, chain, "leaf certificate does not parse as valid X.509")];

  const faults = validateNames(leaf.value);
  const request = parseCertificationRequest(decodeBase64(spec.stubPKCS10Request ?? "") ?? new Uint8Array());
  if (!request.ok) return [...faults, invalidOmitted(REQUEST, "must be a valid PKCS#10 CSR")];
  if (!publicKeysEqual(request.value.publicKeyDer, leaf.value.publicKeyDer)) {
    return [...faults, invalid(CHAIN, chain, "leaf certificate was not issued to the requested public key")];
  }
  const { notBefore, notAfter, beginRefreshAt } = status;
  const consistent = "must be present and consistent with the issued certificate";
  const range = "must be present and in the range [notbefore+10min, notafter-10min]";
  if (notBefore === undefined) faults.push(requiredField("status.notBefore", consistent));
  if (notAfter === undefined) faults.push(requiredField("status.notAfter", consistent));
  if (beginRefreshAt === undefined) faults.push(requiredField("status.beginRefreshAt", range));
  if (faults.length > 0 || notBefore === undefined || notAfter === undefined || beginRefreshAt === undefined) {
    return faults;
  }
  const times = { notBefore, notAfter, beginRefreshAt };
  const fault = findTimeFault(times, leaf.value, now) ?? findLifetimeFault(spec, leaf.value) ??
    findRefreshFault(times) ?? findIntermediateFault(chain, first.rest);
  return fault === undefined ? [] : [fault];
}

function validateNames({ dnsNames, emailAddresses }: CertificateFacts): FieldError[] {
  const errors = checkEach(dnsNames, (name) => {
    const texts = [];
    if (name === "") texts.push("leaf certificate should not contain empty DNSName");
    if (name.includes("..")) texts.push("leaf certificate's DNSName should not contain '..'");
    if (name.startsWith(".") || name.endsWith(".")) {
      texts.push("leaf certificate's DNSName should not start or end with '.'");
    }
    return texts.map((text) => invalid(CHAIN, name, text));
  });
  const detail = "leaf certificate should not contain invalid EmailAddress";
  return [
    ...errors,
    ...checkEach(emailAddresses, (text) => isMailAddress(text) ? [] : [invalid(CHAIN, text, detail)]),
  ];
}

/** The three times of a status, in RFC 3339. */
interface Times {
  readonly notBefore: string;
  readonly notAfter: string;
  readonly beginRefreshAt: string;
}

function findTimeFault({ notBefore, notAfter }: Times, leaf: CertificateFacts, now: Date): FieldError | undefined {
  const start = Date.parse(notBefore);
  if (start !== leaf.notBefore.getTime()) {
    const detail = "must be set to the NotBefore time encoded in the leaf certificate";
    return invalid("status.notBefore", notBefore, detail);
  }
  if (Math.abs(start - now.getTime()) >= 5 * MINUTE_MS) {
    const detail = "must be set to within 5 minutes of kube-apiserver's current time";
    return invalid("status.notBefore", notBefore, detail);
  }
  if (Date.parse(notAfter) === leaf.notAfter.getTime()) return undefined;
  const detail = "must be set to the NotAfter time encoded in the leaf certificate";
  return invalid("status.notAfter", notAfter, detail);
}

function findLifetimeFault(spec: PodCertificateRequestSpec, leaf: CertificateFacts): FieldError | undefined {
  const { maxExpirationSeconds = DEFAULT_POD_EXPIRATION_SECONDS } = spec;
  const lifetimeMs = leaf.notAfter.getTime() - leaf.notBefore.getTime();
  // Go prints a duration in nanoseconds, of which there are at most 2^63.
  const printed = clampToInt64(lifetimeMs * 1_000_000);
  if (lifetimeMs < MIN_POD_EXPIRATION_SECONDS * 1_000) {
    return invalid(CHAIN, printed, "leaf certificate lifetime must be >= 1 hour");
  }
  if (lifetimeMs <= maxExpirationSeconds * 1_000) return undefined;
  const detail = `leaf certificate lifetime must be <= spec.maxExpirationSeconds (${maxExpirationSeconds})`;
  return invalid(CHAIN, printed, detail);
}

function findRefreshFault({ notBefore, notAfter, beginRefreshAt }: Times): FieldError | undefined {
  const refresh = Date.parse(beginRefreshAt);
  if (refresh < Date.parse(notBefore) + 10 * MINUTE_MS) {
    return invalid("status.beginRefreshAt", beginRefreshAt, "must be at least 10 minutes after status.notBefore");
  }
  if (refresh <= Date.parse(notAfter) - 10 * MINUTE_MS) return undefined;
  return invalid("status.beginRefreshAt", beginRefreshAt, "must be at least 10 minutes before status.notAfter");
}

/** Finds the fault of the blocks after the leaf. Whether they form a chain is not checked. */
function findIntermediateFault(chain: string, rest: string): FieldError | undefined {
  for (let found = findPemBlock(rest); found !== undefined; found = findPemBlock(found.rest)) {
    if (found.block.label !== "CERTIFICATE") {
      // The typo is upstream's.
      return invalid(CHAIN, chain, "issued certificate chain must consist entirely of CERTFICATE PEM blocks");
    }
    if (!parseCertificate(found.block.bytes).ok) {
      return invalid(CHAIN, chain, "intermediate certificate does not parse as valid X.509");
    }
  }
  return undefined;
}
