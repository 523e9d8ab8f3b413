/**
 * The CARotation object: the validation of a new one and of each change, and the fields that the server sets. For a CA
 * that exists only in files, such as kubeadm's in `/etc/kubernetes/pki`, the object is in a file too.
 */
import { getErrorMessage } from "../errors.ts";
import { decodeObject } from "../kube/wire/object_json.ts";
import { type FieldError, forbiddenField, invalid, invalidOmitted, notSupported } from "../kube/status/field_error.ts";
import { caRotationKind } from "../kube/kinds/mod.ts";
import { formatTime, getName, type KubeObject } from "../kube/meta.ts";
import type { CaRotation, CaRotationSpec, CaRotationStatus, CaRotationStep } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { CA_ROTATION_STEPS, ROTATABLE_CAS } from "../kube/kinds/constants.ts";
import { goQuote } from "../lib/go_text.ts";
import { isRecord, tryParseJson } from "../lib/record.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type CertificateChain, parseAuthorityChain } from "../pki/x509/ca_bundle.ts";
import { verifyCertificateSignature } from "../pki/x509/certificate.ts";
import { equalBytes } from "../pki/asn1/der.ts";
import { publicKeysEqual } from "../pki/keys/public_key.ts";

/** One of the two CAs of a rotation. */
export type RotatedCa = "old" | "new";

export interface RotatedCas {
  readonly oldCa: CertificateChain;
  readonly newCa: CertificateChain;
  /** The new CA, signed by the old one; undefined when the old key has leaked. */
  readonly crossSigned: CertificateChain | undefined;
}

/** Parses the CAs of a rotation and checks that they belong together. The error names the field. */
export function parseRotatedCas(spec: CaRotationSpec): Result<RotatedCas, FieldError> {
  const oldCa = parseAuthorityChain(spec.oldCA);
  if (!oldCa.ok) return err(invalidOmitted("spec.oldCA", oldCa.error));
  const newCa = parseAuthorityChain(spec.newCA);
  if (!newCa.ok) return err(invalidOmitted("spec.newCA", newCa.error));
  const [older, newer] = [oldCa.value.certificate, newCa.value.certificate];
  if (publicKeysEqual(older.publicKeyDer, newer.publicKeyDer)) {
    return err(invalidOmitted("spec.newCA", "it has the key of the old CA; a new CA needs a new key"));
  }
  if ((spec.crossSignedCA ?? "") === "") {
    if (spec.isLeaked === true) return ok({ oldCa: oldCa.value, newCa: newCa.value, crossSigned: undefined });
    return err(invalidOmitted("spec.crossSignedCA", "must be set unless isLeaked is true"));
  }
  const crossSigned = parseAuthorityChain(spec.crossSignedCA ?? "");
  if (!crossSigned.ok) return err(invalidOmitted("spec.crossSignedCA", crossSigned.error));
  const { certificate } = crossSigned.value;
  if (
    !publicKeysEqual(certificate.publicKeyDer, newer.publicKeyDer) ||
    !equalBytes(certificate.subject.raw, newer.subject.raw)
  ) {
    return err(invalidOmitted("spec.crossSignedCA", "its subject and its key must be those of the new CA"));
  }
  if (!equalBytes(certificate.issuer.raw, older.subject.raw) || !verifyCertificateSignature(certificate, older)) {
    return err(invalidOmitted("spec.crossSignedCA", "must be signed by the old CA"));
  }
  return ok({ oldCa: oldCa.value, newCa: newCa.value, crossSigned: crossSigned.value });
}

/** Validates a new CARotation, whose name has been set. */
export function validateCaRotation(rotation: CaRotation): readonly FieldError[] {
  const { spec } = rotation;
  const name = getName(rotation);
  const errors: FieldError[] = [];
  if (!ROTATABLE_CAS.includes(name)) errors.push(notSupported("metadata.name", name, ROTATABLE_CAS));
  errors.push(...validateRequest(spec));
  if (spec.step !== "Trust" && spec.isLeaked !== true && errors.length === 0) {
    errors.push(invalid("spec.step", spec.step, "a new rotation begins with Trust, unless isLeaked is true"));
  }
  const cas = parseRotatedCas(spec);
  return cas.ok ? errors : [...errors, cas.error];
}

/** Validates a change of a CARotation. */
export function validateCaRotationUpdate({ spec }: CaRotation, stored: CaRotation): readonly FieldError[] {
  const before = stored.spec;
  const fixed = (["oldCA", "newCA", "crossSignedCA"] as const)
    .filter((field) => (spec[field] ?? "") !== (before[field] ?? ""))
    .map((field) => forbiddenField(`spec.${field}`, "cannot change; delete the rotation and begin another one"));
  const errors = [...fixed, ...validateRequest(spec)];
  if (errors.length > 0) return errors;
  if (before.isLeaked === true && spec.isLeaked !== true) {
    errors.push(forbiddenField("spec.isLeaked", "a key that has leaked cannot be trusted again"));
  }
  if (spec.step !== before.step && !(NEXT_STEPS[before.step].includes(spec.step) || spec.isLeaked === true)) {
    const next = NEXT_STEPS[before.step].map((step) => goQuote(step)).join(" and ");
    const why = next === "" ? "the rotation is finished" : `after ${goQuote(before.step)} only ${next} is possible`;
    errors.push(invalid("spec.step", spec.step, why));
  }
  if (before.step === "Finish" && spec.step !== "Finish" && errors.length === 0) {
    errors.push(invalid("spec.step", spec.step, "the rotation is finished"));
  }
  return errors;
}

const NEXT_STEPS: Readonly<Record<CaRotationStep, readonly CaRotationStep[]>> = {
  Trust: ["Switch"],
  Switch: ["Trust", "Finish"],
  Finish: [],
};

function validateRequest({ step, renewFrom, renewBy }: CaRotationSpec): FieldError[] {
  if (!CA_ROTATION_STEPS.includes(step)) return [notSupported("spec.step", step, CA_ROTATION_STEPS)];
  const [from, by] = [renewFrom ?? null, renewBy ?? null];
  if ((from === null) !== (by === null)) {
    return [invalidOmitted(from === null ? "spec.renewFrom" : "spec.renewBy", "renewFrom and renewBy go together")];
  }
  if (from !== null && by !== null && Date.parse(by) < Date.parse(from)) {
    return [invalid("spec.renewBy", by, "must not be before renewFrom")];
  }
  return [];
}

/** Returns the status of a rotation after a write of its spec; `stored` is undefined for a new one. */
export function planCaRotationStatus(
  spec: CaRotationSpec,
  stored: CaRotation | undefined,
  now: Date,
): CaRotationStatus {
  const time = formatTime(now);
  const before = stored?.status;
  const isSwitched = spec.step !== "Trust";
  return {
    ...(before?.servers === undefined ? {} : { servers: before.servers }),
    beganAt: before?.beganAt ?? time,
    ...(isSwitched ? { switchedAt: before?.switchedAt ?? time } : {}),
    ...(spec.step === "Finish" ? { finishedAt: before?.finishedAt ?? time } : {}),
  };
}

/** Reports whether a rotation is in progress; a finished one is only a record. */
export function isInProgress({ spec }: CaRotation): boolean {
  return spec.step !== "Finish";
}

/** Reports whether a rotation goes back to its old CA, because it was aborted after the new one had begun to sign. */
export function isAborting({ spec: { step, renewFrom }, status }: CaRotation): boolean {
  // A rotation in a file has no renewal window, so its `switchedAt` is checked instead.
  return step === "Trust" && (renewFrom ?? status.switchedAt ?? null) !== null;
}

/** Parses the object in a file. */
export function parseRotationFile(text: string): Result<CaRotation, string> {
  const value = tryParseJson(text);
  if (value === undefined) return err("it is not JSON");
  if (!isRecord(value) || value["kind"] !== caRotationKind.kind) return err("it is not a CARotation");
  let rotation: CaRotation;
  try {
    // The schema has checked this type.
    rotation = decodeObject(caRotationKind.schema, value).object as KubeObject as CaRotation;
  } catch (error) {
    return err(getErrorMessage(error));
  }
  const cas = parseRotatedCas(rotation.spec);
  const [fault] = [...validateRequest(rotation.spec), ...(cas.ok ? [] : [cas.error])];
  return fault === undefined ? ok(rotation) : err(`${fault.field}: ${fault.message}`);
}
