/**
 * The rotation of a CA that only files hold, as `/etc/kubernetes/pki` of kubeadm. Its record is a CARotation in a file beside
 * the CA.
 */
import { caRotationKind } from "../kube/kinds/mod.ts";
import { formatApiVersion } from "../kube/schema.ts";
import { CA_ROTATION_STEPS, type CaRotation, type CaRotationStep } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { isRecord } from "../lib/record.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type CertificateChain, encodeCertificates, encodeTrust } from "../pki/authority_chain.ts";
import { parseRotatedCas } from "./ca_rotation.ts";

/** The two CAs of a rotation. */
export type RotatedCa = "old" | "new";

/** The progress of a rotation, as its record beside the CA holds it. */
export interface FileRotation {
  readonly step: CaRotationStep;
  readonly oldCa: CertificateChain;
  readonly newCa: CertificateChain;
  /** The new CA, signed by the old one. */
  readonly crossSigned: CertificateChain;
  readonly beganAt: string;
  readonly switchedAt?: string;
  readonly finishedAt?: string;
}

/** Encodes the certificates that must be trusted in the step of a rotation. */
export function encodeRotationBundle({ step, oldCa, newCa }: FileRotation): string {
  return encodeTrust(newCa) + (step === "Finish" ? "" : encodeTrust(oldCa));
}

/** Encodes the record of a rotation as JSON. */
export function encodeFileRotation(name: string, rotation: FileRotation): string {
  const { step, oldCa, newCa, crossSigned, beganAt, switchedAt, finishedAt } = rotation;
  const object: CaRotation = {
    apiVersion: formatApiVersion(caRotationKind),
    kind: caRotationKind.kind,
    metadata: { name },
    spec: {
      step,
      oldCA: encodeTrust(oldCa),
      newCA: encodeTrust(newCa),
      crossSignedCA: encodeCertificates([crossSigned.certificate]),
    },
    status: {
      beganAt,
      ...(switchedAt === undefined ? {} : { switchedAt }),
      ...(finishedAt === undefined ? {} : { finishedAt }),
    },
  };
  return `${JSON.stringify(object, null, 2)}\n`;
}

/** Decodes the record. The error says what is wrong with it. */
export function decodeFileRotation(text: string): Result<FileRotation, string> {
  let object: unknown;
  try {
    object = JSON.parse(text);
  } catch {
    return err("it is not JSON");
  }
  if (!isRecord(object) || object["kind"] !== caRotationKind.kind) return err("it is not a CARotation");
  const { spec, status } = object;
  if (!isRecord(spec) || !isRecord(status)) return err("spec or status is missing");
  const step = CA_ROTATION_STEPS.find((one) => one === spec["step"]);
  if (step === undefined) return err(`spec.step is not one of ${CA_ROTATION_STEPS.join(", ")}`);
  const [oldCA, newCA, crossSignedCA] = ["oldCA", "newCA", "crossSignedCA"].map((field) => spec[field]);
  if (typeof oldCA !== "string" || typeof newCA !== "string" || typeof crossSignedCA !== "string") {
    return err("spec.oldCA, spec.newCA or spec.crossSignedCA is missing");
  }
  const cas = parseRotatedCas({ step, oldCA, newCA, crossSignedCA });
  if (!cas.ok) return err(`${cas.error.field}: ${cas.error.message}`);
  const { oldCa, newCa, crossSigned } = cas.value;
  if (crossSigned === undefined) return err("spec.crossSignedCA is empty");
  const { beganAt, switchedAt, finishedAt } = status;
  if (typeof beganAt !== "string") return err("status.beganAt is missing");
  return ok({
    ...{ step, oldCa, newCa, crossSigned, beganAt },
    ...(typeof switchedAt === "string" ? { switchedAt } : {}),
    ...(typeof finishedAt === "string" ? { finishedAt } : {}),
  });
}
