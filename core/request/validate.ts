/**
 * Validates `spec` and `status` on creation and on the update of each endpoint
 * (`pkg/apis/certificates/validation/validation.go`). The generic registry validates metadata.
 */
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from "../kube/kinds/certificates_v1.ts";
import {
  KEY_USAGES,
  KUBE_APISERVER_CLIENT_SIGNER,
  LEGACY_UNKNOWN_SIGNER,
  MIN_EXPIRATION_SECONDS,
} from "../kube/kinds/constants.ts";
import {
  checkEach,
  duplicate,
  type FieldError,
  forbiddenField,
  invalid,
  notSupportedName,
  printValue,
  requiredField,
} from "../kube/status/field_error.ts";
import { MASTERS_GROUP } from "../kube/user.ts";
import { findCertificateFault } from "./issued_certificate.ts";
import { findCondition, getConditions } from "./phase.ts";
import { parseRequest, parseVerifiedRequest } from "./parse_request.ts";
import { validateSignerName } from "./signer_name.ts";
import type { KeyAlgorithmOptions } from "../pki/keys/key_names.ts";
import { findKeyUsageFault, findUnknownUsages } from "../pki/x509/usages.ts";

/** The endpoint of an update. */
export type CsrEndpoint = "main" | "status" | "approval";

const CONDITIONS = "status.conditions";
const CERTIFICATE = "status.certificate";
/** The types of conditions that must be true and cannot be removed. */
const LASTING_TYPES: readonly string[] = ["Approved", "Denied", "Failed"];
const APPROVAL_TYPES: readonly string[] = ["Approved", "Denied"];

/** The faults that an update may keep because the stored object already has them (`getValidationOptions`). */
interface Tolerance {
  readonly unknownUsages: boolean;
  readonly duplicateUsages: boolean;
  readonly legacySigner: boolean;
  readonly emptyConditionType: boolean;
  readonly duplicateConditionTypes: boolean;
  readonly approvedAndDenied: boolean;
  readonly anyCertificate: boolean;
}

/** Validates a new CSR; the faults are in the order of kube-apiserver. */
export function validateCsrCreate(
  csr: CertificateSigningRequest,
  options: KeyAlgorithmOptions = {},
): FieldError[] {
  const tolerance = createTolerance(csr, undefined);
  return [
    ...validateContent(csr, tolerance, options),
    ...validateKeyUsages(csr, options),
    ...validateExclusivity(csr, tolerance),
  ];
}

/** Validates an update; the faults are in the order of kube-apiserver. Faults of the stored object are tolerated. */
export function validateCsrUpdate(
  csr: CertificateSigningRequest,
  old: CertificateSigningRequest,
  endpoint: CsrEndpoint,
  options: KeyAlgorithmOptions = {},
): FieldError[] {
  const tolerance = createTolerance(csr, old);
  return [
    ...validateContent(csr, tolerance, options),
    ...validateRemovals(csr, old),
    ...(endpoint === "approval" ? [] : validateApprovalUntouched(csr, old)),
    ...validateCertificateChange(csr, old, endpoint),
    ...validateExclusivity(csr, tolerance),
  ];
}

function validateContent(
  csr: CertificateSigningRequest,
  tolerance: Tolerance,
  options: KeyAlgorithmOptions,
): FieldError[] {
  const request = parseVerifiedRequest(csr.spec.request, options);
  return [
    ...(request.ok ? [] : [invalid("spec.request", csr.spec.request, request.error)]),
    ...validateUsages(csr.spec.usages ?? [], tolerance),
    ...validateSigner(csr.spec.signerName, tolerance),
    ...validateExpiration(csr.spec.expirationSeconds),
    ...validateConditions(csr, tolerance),
    ...validateCertificate(csr, tolerance),
  ];
}

function validateUsages(usages: readonly string[], tolerance: Tolerance): FieldError[] {
  const unknown = new Set(tolerance.unknownUsages ? [] : findUnknownUsages(usages));
  const repeated = tolerance.duplicateUsages ? [] : repeatedIndexes(usages);
  return [
    ...(usages.length === 0 ? [requiredField("spec.usages")] : []),
    ...checkEach(
      usages,
      (usage, index) => unknown.has(usage) ? [notSupportedName(`spec.usages[${index}]`, usage, KEY_USAGES)] : [],
    ),
    ...checkEach(repeated, (index) => [duplicate(`spec.usages[${index}]`, usages[index])]),
  ];
}

/** Validates the usages of an ML-DSA key. An update cannot change the request or its usages. */
function validateKeyUsages({ spec }: CertificateSigningRequest, options: KeyAlgorithmOptions): FieldError[] {
  const request = parseRequest(spec.request);
  const { usages = [] } = spec;
  if (options.allowMlDsa !== true || !request.ok || usages.length === 0) return [];
  const fault = findKeyUsageFault(request.value.keyAlgorithm, usages);
  return fault === undefined ? [] : [invalid("spec.usages", usages, fault)];
}

function validateSigner(signerName: string, tolerance: Tolerance): FieldError[] {
  if (signerName === LEGACY_UNKNOWN_SIGNER && !tolerance.legacySigner) {
    const detail = "the legacy signerName is not allowed via this API version";
    return [invalid("spec.signerName", signerName, detail)];
  }
  return validateSignerName("spec.signerName", signerName);
}

function validateExpiration(seconds: number | undefined): FieldError[] {
  if (seconds === undefined || seconds >= MIN_EXPIRATION_SECONDS) return [];
  const detail = "may not specify a duration less than 600 seconds (10 minutes)";
  return [invalid("spec.expirationSeconds", seconds, detail)];
}

function validateConditions(csr: CertificateSigningRequest, tolerance: Tolerance): FieldError[] {
  const conditions = getConditions(csr);
  const repeated = new Set(repeatedIndexes(conditions.map((item) => item.type)));
  return checkEach(conditions, (condition, index) => {
    const path = `${CONDITIONS}[${index}]`;
    const allowed = LASTING_TYPES.includes(condition.type) ? ["True"] : ["False", "True", "Unknown"];
    const errors: FieldError[] = [];
    if (condition.type === "" && !tolerance.emptyConditionType) errors.push(requiredField(`${path}.type`));
    if (condition.status === "") errors.push(requiredField(`${path}.status`));
    else if (!allowed.includes(condition.status)) {
      errors.push(notSupportedName(`${path}.status`, condition.status, allowed));
    }
    if (repeated.has(index) && !tolerance.duplicateConditionTypes) {
      errors.push(duplicate(`${path}.type`, condition.type));
    }
    return errors;
  });
}

function validateCertificate(csr: CertificateSigningRequest, tolerance: Tolerance): FieldError[] {
  const fault = tolerance.anyCertificate ? undefined : findStatusCertificateFault(csr);
  // As upstream, the message never contains the certificate.
  return fault === undefined ? [] : [invalid(CERTIFICATE, "<certificate data>", fault)];
}

function validateRemovals(csr: CertificateSigningRequest, old: CertificateSigningRequest): FieldError[] {
  return LASTING_TYPES
    .filter((type) => conditionsOfType(csr, type).length < conditionsOfType(old, type).length)
    .map((type) => forbiddenField(CONDITIONS, `updates may not remove a condition of type ${printValue(type)}`));
}

function validateApprovalUntouched(csr: CertificateSigningRequest, old: CertificateSigningRequest): FieldError[] {
  return APPROVAL_TYPES.flatMap((type) => {
    const now = conditionsOfType(csr, type);
    const before = conditionsOfType(old, type);
    if (now.length < before.length) return [];
    if (now.length > before.length) {
      return [forbiddenField(CONDITIONS, `updates may not add a condition of type ${printValue(type)}`)];
    }
    const [was, is] = [before.map(describeCondition), now.map(describeCondition)];
    if (was.join() === is.join()) return [];
    const changes = [...was.map((text) => `- ${text}`), ...is.map((text) => `+ ${text}`)].join("\n");
    return [forbiddenField(CONDITIONS, `updates may not modify a condition of type ${printValue(type)}\n${changes}`)];
  });
}

function validateCertificateChange(
  csr: CertificateSigningRequest,
  old: CertificateSigningRequest,
  endpoint: CsrEndpoint,
): FieldError[] {
  if (getCertificate(csr) === getCertificate(old)) return [];
  if (endpoint !== "status") return [forbiddenField(CERTIFICATE, "updates may not set certificate content")];
  if (getCertificate(old) === "") return [];
  return [forbiddenField(CERTIFICATE, "updates may not modify existing certificate content")];
}

/** Validates the declarative rule of Kubernetes 1.37, whose fault is reported last. */
function validateExclusivity(csr: CertificateSigningRequest, tolerance: Tolerance): FieldError[] {
  if (tolerance.approvedAndDenied || !isApprovedAndDenied(csr)) return [];
  const members = APPROVAL_TYPES.map((type) => `conditions[{"type": "${type}"}]`);
  const value = `{${members.join(", ")}}`;
  return [
    invalid(CONDITIONS, value, `must specify at most one of: ${members.map((item) => `\`${item}\``).join(", ")}`),
  ];
}

function createTolerance(csr: CertificateSigningRequest, old: CertificateSigningRequest | undefined): Tolerance {
  const usages = old?.spec.usages ?? [];
  const types = old === undefined ? [] : getConditions(old).map((item) => item.type);
  return {
    unknownUsages: findUnknownUsages(usages).length > 0,
    duplicateUsages: repeatedIndexes(usages).length > 0,
    legacySigner: old?.spec.signerName === LEGACY_UNKNOWN_SIGNER,
    emptyConditionType: types.includes(""),
    duplicateConditionTypes: repeatedIndexes(types).length > 0,
    approvedAndDenied: old !== undefined && isApprovedAndDenied(old),
    anyCertificate: old !== undefined &&
      (getCertificate(csr) === getCertificate(old) || findStatusCertificateFault(old) !== undefined),
  };
}

function isApprovedAndDenied(csr: CertificateSigningRequest): boolean {
  return APPROVAL_TYPES.every((type) => findCondition(csr, type) !== undefined);
}

function conditionsOfType(
  csr: CertificateSigningRequest,
  type: string,
): readonly CertificateSigningRequestCondition[] {
  return getConditions(csr).filter((item) => item.type === type);
}

function describeCondition(condition: CertificateSigningRequestCondition): string {
  const { type, status, reason = "", message = "", lastUpdateTime, lastTransitionTime } = condition;
  return JSON.stringify({ type, status, reason, message, lastUpdateTime, lastTransitionTime });
}

function getCertificate(csr: CertificateSigningRequest): string {
  return csr.status.certificate ?? "";
}

function findStatusCertificateFault(csr: CertificateSigningRequest): string | undefined {
  return getCertificate(csr) === "" ? undefined : findCertificateFault(getCertificate(csr));
}

function repeatedIndexes(values: readonly string[]): number[] {
  const seen = new Set<string>();
  return values.flatMap((value, index) => {
    const repeated = seen.has(value);
    seen.add(value);
    return repeated ? [index] : [];
  });
}

/**
 * The message of the admission plugin CertificateSubjectRestriction for a request that would make its holder an
 * administrator (`plugin/pkg/admission/certificates/subjectrestriction`); undefined for any other request.
 */
export function findSubjectRestriction(signerName: string, organizations: readonly string[]): string | undefined {
  if (signerName !== KUBE_APISERVER_CLIENT_SIGNER || !organizations.includes(MASTERS_GROUP)) return undefined;
  return `use of ${KUBE_APISERVER_CLIENT_SIGNER} signer with ${MASTERS_GROUP} group is not allowed`;
}
