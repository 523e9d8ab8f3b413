/**
 * The CAs that are trusted during a rotation, the annotations that make clients renew before one of them retires, and
 * the TrustReport in which a client lists the CAs that it trusts.
 */
import { formatTime } from "../kube/meta.ts";
import type { CaRotation, CaRotationSpec, CaRotationStep, TrustReport } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { TLSBOOT_GROUP } from "../kube/kinds/constants.ts";
import { type CertificateChain, MAX_TRUSTED } from "../pki/x509/ca_bundle.ts";
import { parseRotatedCas } from "./rotation_rules.ts";
import { RETIREMENT_ANNOTATIONS } from "../machine/renewal_schedule.ts";
import { type FieldError, invalid } from "../kube/status/field_error.ts";
import { toRevocationName } from "../revocation/revocation.ts";
import { omitUndefined } from "../lib/record.ts";

/** The CAs in the files of one CA: the one that signs, and those that may be in its other files. */
export interface CasOnDisk {
  readonly current: CertificateChain;
  readonly next: CertificateChain | undefined;
  readonly old: CertificateChain | undefined;
}

/** Returns the step that determines the trust: after a leak the last one, which no longer trusts the old CA. */
export function getTrustStep({ step, isLeaked }: CaRotationSpec): CaRotationStep {
  return isLeaked === true ? "Finish" : step;
}

/**
 * Lists the CAs that are trusted for one CA during its rotation, the one that signs first. Only the rotation decides,
 * so a server that cannot adopt a step still trusts the same CAs as the others. Without a rotation of this CA, the
 * files decide.
 */
export function listTrustedCas(
  rotation: CaRotation | undefined,
  { current, next, old }: CasOnDisk,
): readonly CertificateChain[] {
  const cas = rotation === undefined ? undefined : parseRotatedCas(rotation.spec);
  const isOwn = cas?.ok === true &&
    [cas.value.oldCa, cas.value.newCa].some(({ certificate }) =>
      certificate.sha256Fingerprint === current.certificate.sha256Fingerprint
    );
  if (rotation === undefined || cas?.ok !== true || !isOwn) {
    const chains = [current, next, old].filter((chain) => chain !== undefined);
    return [...new Map(chains.map((chain) => [chain.certificate.sha256Fingerprint, chain])).values()];
  }
  const { oldCa, newCa } = cas.value;
  switch (getTrustStep(rotation.spec)) {
    case "Trust":
      return [oldCa, newCa];
    case "Switch":
      return [newCa, oldCa];
    case "Finish":
      return [newCa];
  }
}

/** Returns the fingerprints of the CAs that a rotation has removed. */
export function listRetiredCas(rotations: Iterable<CaRotation>): ReadonlySet<string> {
  const retired = new Set<string>();
  for (const { spec } of rotations) {
    const cas = parseRotatedCas(spec);
    if (cas.ok && getTrustStep(spec) === "Finish") retired.add(cas.value.oldCa.certificate.sha256Fingerprint);
  }
  return retired;
}

/**
 * Returns the annotations that make clients renew; none when no rotation has a window. The windows of several rotations
 * become one, from the first start to the last end.
 */
export function listRenewalAnnotations(rotations: Iterable<CaRotation>): Readonly<Record<string, string>> {
  const keyIds: string[] = [];
  let [from, by] = [Infinity, -Infinity];
  for (const { spec } of rotations) {
    const cas = parseRotatedCas(spec);
    const step = getTrustStep(spec);
    if (!cas.ok || step === "Finish") continue;
    const [start, end] = [Date.parse(spec.renewFrom ?? ""), Date.parse(spec.renewBy ?? "")];
    const { subjectKeyId } = (step === "Switch" ? cas.value.oldCa : cas.value.newCa).certificate;
    if (subjectKeyId === undefined || Number.isNaN(start) || Number.isNaN(end)) continue;
    keyIds.push(subjectKeyId);
    [from, by] = [Math.min(from, start), Math.max(by, end)];
  }
  if (keyIds.length === 0) return {};
  return {
    [RETIREMENT_ANNOTATIONS.keyIds]: keyIds.sort().join(","),
    [RETIREMENT_ANNOTATIONS.from]: formatTime(new Date(from)),
    [RETIREMENT_ANNOTATIONS.by]: formatTime(new Date(by)),
  };
}

/** A published trust bundle of the API server, with its annotations. */
export interface PublishedBundle {
  readonly annotations: Readonly<Record<string, string>>;
  /** SHA-256 (hex) of each certificate in it. */
  readonly fingerprints: readonly string[];
}

/**
 * Reports whether the published bundle agrees with a rotation: the CAs that are trusted, for the CA of the server, and
 * the request to renew.
 */
export function isTrustPublished(
  rotation: CaRotation,
  isServingCa: boolean,
  { annotations, fingerprints }: PublishedBundle,
): boolean {
  const cas = parseRotatedCas(rotation.spec);
  if (!cas.ok) return true;
  const { oldCa, newCa } = cas.value;
  const hasOld = fingerprints.includes(oldCa.certificate.sha256Fingerprint);
  const hasNew = fingerprints.includes(newCa.certificate.sha256Fingerprint);
  if (isServingCa && (!hasNew || hasOld === (getTrustStep(rotation.spec) === "Finish"))) return false;
  const wanted = listRenewalAnnotations([rotation]);
  const [retiring, renewBy = ""] = [wanted[RETIREMENT_ANNOTATIONS.keyIds], wanted[RETIREMENT_ANNOTATIONS.by]];
  if (retiring === undefined) return true;
  // Another rotation may widen the window, and add its own CA.
  const isNamed = (annotations[RETIREMENT_ANNOTATIONS.keyIds] ?? "").split(",").includes(retiring);
  return isNamed && Date.parse(annotations[RETIREMENT_ANNOTATIONS.by] ?? "") >= Date.parse(renewBy);
}

const FINGERPRINT = /^[0-9a-f]{64}$/;

/** Creates a report to be sent to the API, from the SHA-256 (hex) of each CA certificate that the client trusts. */
export function createTrustReport(trusted: readonly string[]): TrustReport {
  return {
    apiVersion: `${TLSBOOT_GROUP}/v1alpha1`,
    kind: "TrustReport",
    metadata: {},
    spec: { trusted: [...new Set(trusted)] },
    status: { username: "" },
  };
}

/** Returns the name of a user's report, such as `user:system:node:n1`. */
export function toTrustReportName(username: string): string {
  return toRevocationName({ kind: "user", value: username });
}

export function validateTrustReport({ spec: { trusted = [] } }: TrustReport): readonly FieldError[] {
  if (trusted.length > MAX_TRUSTED) {
    return [invalid("spec.trusted", trusted.length, `must have at most ${MAX_TRUSTED} items`)];
  }
  return trusted.flatMap((fingerprint, index) =>
    FINGERPRINT.test(fingerprint)
      ? []
      : [invalid(`spec.trusted[${index}]`, fingerprint, "must be the SHA-256 of a certificate in lower-case hex")]
  );
}

/** Sets the name, the user and the time of a posted report. */
export function stampTrustReport(report: TrustReport, username: string, now: Date): TrustReport {
  const { generateName: _, ...metadata } = report.metadata;
  return {
    ...report,
    metadata: { ...metadata, name: toTrustReportName(username) },
    status: { username, reportedAt: formatTime(now) },
  };
}

/** Prepares a posted report to replace the user's earlier one. It keeps the fields that the server has recorded. */
export function replaceTrustReport(report: TrustReport, stored: TrustReport): TrustReport {
  const { issuer, serialNumber, lastSeen } = stored.status;
  return {
    ...report,
    status: {
      ...report.status,
      ...omitUndefined({ issuer, serialNumber, lastSeen }),
    },
  };
}
