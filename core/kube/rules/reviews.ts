/**
 * The rules of access reviews (`pkg/apis/authorization/validation/validation.go`), of token requests
 * (`pkg/apis/authentication/validation/validation.go`) and of node attestations.
 */
import type {
  NonResourceAttributesSpec,
  SelectorAttributes,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
} from "../kinds/authorization_v1.ts";
import type { BoundObjectReference, TokenRequest, TokenRequestSpec } from "../kinds/authentication_v1.ts";
import type { AttestationPcr, NodeAttestation } from "../kinds/node_attestation.ts";
import { byteLength } from "../../lib/go_text.ts";
import {
  checkEach,
  duplicate,
  type FieldError,
  forbiddenField,
  invalid,
  notSupported,
  requiredField,
  tooLong,
} from "../status/field_error.ts";
import type { ObjectMeta, SelectorRequirement } from "../meta.ts";
import { validateFieldRequirement, validateLabelRequirement } from "./meta_v1.ts";
import { subdomainNameErrors } from "../names.ts";
import { decodeCanonicalBase64 } from "../wire/scalars.ts";

/**
 * The largest selector of a review as text. The limit for a query is the same, so that every request that is served can be
 * reviewed. kube-apiserver has no such limit.
 */
export const MAX_RAW_SELECTOR_BYTES = 65_536;

/** Validates a SubjectAccessReview, which needs a user or a group, or a SelfSubjectAccessReview, whose user is the caller. */
export function validateSubjectAccessReview(review: SubjectAccessReview, isSelf = false): FieldError[] {
  return [
    ...validateSpec(review.spec, !isSelf),
    ...validateEmptyMeta(review.metadata, ["managedFields"], "must be empty"),
  ];
}

/** Validates a LocalSubjectAccessReview; `metadata.namespace` is that of the request. */
export function validateLocalSubjectAccessReview(review: SubjectAccessReview): FieldError[] {
  const { resourceAttributes, nonResourceAttributes } = review.spec;
  const errors = [
    ...validateSpec(review.spec, true),
    ...validateEmptyMeta(review.metadata, ["managedFields", "namespace"], "must be empty except for namespace"),
  ];
  const namespace = resourceAttributes?.namespace ?? "";
  if (resourceAttributes !== undefined && namespace !== (review.metadata.namespace ?? "")) {
    errors.push(invalid("spec.resourceAttributes.namespace", namespace, "must match metadata.namespace"));
  }
  if (nonResourceAttributes !== undefined) {
    const value = internalAttributes(nonResourceAttributes);
    errors.push(invalid("spec.nonResourceAttributes", value, "disallowed on this kind of request"));
  }
  return errors;
}

function validateSpec(spec: SubjectAccessReviewSpec, needsSubject: boolean): FieldError[] {
  const { resourceAttributes, nonResourceAttributes } = spec;
  const errors: FieldError[] = [];
  if ((resourceAttributes === undefined) === (nonResourceAttributes === undefined)) {
    const detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    errors.push(invalid("spec", internalAttributes(nonResourceAttributes), detail));
  }
  if (needsSubject && (spec.user ?? "") === "" && (spec.groups ?? []).length === 0) {
    errors.push(invalid("spec.user", "", "at least one of user or group must be specified"));
  }
  const path = "spec.resourceAttributes";
  return [
    ...errors,
    ...validateSelector(resourceAttributes?.fieldSelector, `${path}.fieldSelector`, validateFieldRequirement),
    ...validateSelector(
      resourceAttributes?.labelSelector,
      `${path}.labelSelector`,
      (requirement, at) => validateLabelRequirement(requirement, true, at),
    ),
  ];
}

function validateSelector(
  selector: SelectorAttributes | undefined,
  path: string,
  validateRequirement: (requirement: SelectorRequirement, path: string) => FieldError[],
): FieldError[] {
  if (selector === undefined) return [];
  const { rawSelector = "", requirements = [] } = selector;
  const errors: FieldError[] = [];
  if (rawSelector !== "" && requirements.length > 0) {
    errors.push(invalid(`${path}.rawSelector`, rawSelector, "may not specified at the same time as requirements"));
  }
  if (byteLength(rawSelector) > MAX_RAW_SELECTOR_BYTES) {
    errors.push(tooLong(`${path}.rawSelector`, MAX_RAW_SELECTOR_BYTES));
  }
  if (rawSelector === "" && requirements.length === 0) {
    const detail = `when ${path} is specified, requirements or rawSelector is required`;
    errors.push(requiredField(`${path}.requirements`, detail));
  }
  const ofRequirements = checkEach(
    requirements,
    (requirement, index) => validateRequirement(requirement, `${path}.requirements[${index}]`),
  );
  return [...errors, ...ofRequirements];
}

function validateEmptyMeta(meta: ObjectMeta, ignored: readonly (keyof ObjectMeta)[], detail: string): FieldError[] {
  const keys = Object.keys(meta) as (keyof ObjectMeta)[];
  const isEmpty = keys.every((key) => meta[key] === undefined || ignored.includes(key));
  return isEmpty ? [] : [invalid("metadata", meta, detail)];
}

/** Names the fields as Go's internal type does, which the error prints. */
function internalAttributes(attributes: NonResourceAttributesSpec | undefined): unknown {
  return attributes === undefined ? null : { Path: attributes.path ?? "", Verb: attributes.verb ?? "" };
}

const MIN_SECONDS = 600;
const MAX_SECONDS = 2 ** 32;
const API_GROUPS = "admissionReviewAPIGroups";

/** Validates a token request that has its defaults. */
export function validateTokenRequest({ spec }: TokenRequest): FieldError[] {
  const { audiences, boundObjectRef, attestations = {} } = spec;
  const expirationSeconds = spec.expirationSeconds ?? 0;
  const errors: FieldError[] = [];
  const refuse = (why: string): void => void errors.push(invalid("spec.expirationSeconds", expirationSeconds, why));
  if (expirationSeconds < MIN_SECONDS) refuse("may not specify a duration less than 10 minutes");
  if (expirationSeconds > MAX_SECONDS) refuse("may not specify a duration larger than 2^32 seconds");
  if (isWebhookReference(boundObjectRef)) {
    if ((audiences ?? []).length !== 1) {
      errors.push(invalid("spec.audiences", audiences ?? [], "must be length 1 when bound to a webhook config"));
    }
    return [...errors, ...validateAttestations(spec.attestations)];
  }
  if (Object.keys(attestations).length === 0) return errors;
  const why = "attestations may only be specified with a webhook bound object reference";
  return [invalid("spec.attestations", attestations, why)];
}

function isWebhookReference(reference: BoundObjectReference | null | undefined): boolean {
  return reference?.apiVersion === "admissionregistration.k8s.io/v1" &&
    (reference.kind === "ValidatingWebhookConfiguration" || reference.kind === "MutatingWebhookConfiguration");
}

function validateAttestations(attestations: TokenRequestSpec["attestations"]): FieldError[] {
  const [first, ...more] = Object.entries(attestations ?? {});
  if (first === undefined || more.length > 0) {
    const why = "webhook bound requests require exactly one admissionReviewAPIGroups attestation";
    return [invalid("spec.attestations", attestations ?? null, why)];
  }
  const [key, values] = first;
  const path = `spec.attestations[${key}]`;
  if (key !== API_GROUPS) return [notSupported(path, key, [API_GROUPS])];
  const [group] = values;
  if (group === undefined || values.length !== 1) return [invalid(path, values, "must specify a single value")];
  if (group === "") return [invalid(`${path}[0]`, group, "may not be an empty string")];
  if (group === "*") return [];
  return subdomainNameErrors(group, false).map((fault) =>
    invalid(`${path}[0]`, group, `must specify a valid API Group: ${fault}`)
  );
}

/** The number of PCRs that a TPM of a PC has (TCG PC Client Platform TPM Profile). */
const PCR_COUNT = 24;
const SHA256_BYTES = 32;

/** Validates a node attestation: the first call has evidence, the second one an answer and the state of the first. */
export function validateNodeAttestation({ spec }: NodeAttestation): FieldError[] {
  const { nodeName, publicKey, evidence, answer, state = "" } = spec;
  const calls = "the first call has evidence, the second one an answer and the state of the first";
  const errors: FieldError[] = nodeName === ""
    ? [requiredField("spec.nodeName")]
    : subdomainNameErrors(nodeName, false).map((fault) => invalid("spec.nodeName", nodeName, fault));
  errors.push(...requireBytes("spec", { publicKey }));
  if (evidence === undefined) {
    if (answer === undefined) errors.push(requiredField(state === "" ? "spec.evidence" : "spec.answer", calls));
    if (answer !== undefined && state === "") errors.push(requiredField("spec.state", calls));
  } else {
    if (answer !== undefined) errors.push(forbiddenField("spec.answer", calls));
    if (state !== "") errors.push(forbiddenField("spec.state", calls));
    const { tpm, ssh } = evidence;
    errors.push(...requireOne("spec.evidence", evidence));
    if (tpm !== undefined) {
      const { endorsementKey, attestationKey } = tpm;
      errors.push(...requireBytes("spec.evidence.tpm", { endorsementKey, attestationKey }));
    }
    if (ssh !== undefined) errors.push(...requireBytes("spec.evidence.ssh", { hostKey: ssh.hostKey }));
  }
  if (answer !== undefined) {
    const { tpm, ssh } = answer;
    errors.push(...requireOne("spec.answer", answer));
    if (tpm !== undefined) {
      const { secret, quote, signature, pcrs = [] } = tpm;
      errors.push(...requireBytes("spec.answer.tpm", { secret, quote, signature }));
      errors.push(...validatePcrs(pcrs, "spec.answer.tpm.pcrs"));
    }
    if (ssh !== undefined) errors.push(...requireBytes("spec.answer.ssh", { signature: ssh.signature }));
  }
  return errors;
}

/** Returns a fault for each field without bytes. */
function requireBytes(path: string, fields: Readonly<Record<string, string | null>>): FieldError[] {
  return Object.entries(fields).filter(([, bytes]) => (bytes ?? "") === "")
    .map(([name]) => requiredField(`${path}.${name}`));
}

function requireOne(path: string, { tpm, ssh }: { readonly tpm?: object; readonly ssh?: object }): FieldError[] {
  const detail = "exactly one of tpm or ssh must be specified";
  if (tpm === undefined && ssh === undefined) return [requiredField(path, detail)];
  return tpm === undefined || ssh === undefined ? [] : [forbiddenField(`${path}.ssh`, detail)];
}

function validatePcrs(pcrs: readonly AttestationPcr[], path: string): FieldError[] {
  return checkEach(pcrs, ({ index, sha256 }, at) => {
    const errors: FieldError[] = [];
    const field = `${path}[${at}]`;
    if (index < 0 || index >= PCR_COUNT) {
      errors.push(invalid(`${field}.index`, index, `must be between 0 and ${PCR_COUNT - 1}`));
    }
    if (pcrs.findIndex((other) => other.index === index) < at) errors.push(duplicate(`${field}.index`, index));
    if (decodeCanonicalBase64(sha256 ?? "").length !== SHA256_BYTES) {
      errors.push(invalid(`${field}.sha256`, sha256, `must have ${SHA256_BYTES} bytes`));
    }
    return errors;
  });
}
