/** A TrustReport as an object: its name, its rules, and what the server sets. */
import { type FieldError, invalid } from "../kube/status/field_error.ts";
import { formatTime } from "../kube/meta.ts";
import { TLSBOOT_GROUP, type TrustReport } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { toRevocationName } from "../revocation/revocation.ts";
import { omitUndefined } from "../lib/record.ts";
import { MAX_TRUSTED } from "../pki/x509/trust_bundle.ts";

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

/** Names a posted report after its user and stamps it. */
export function stampTrustReport(report: TrustReport, username: string, now: Date): TrustReport {
  const { generateName: _, ...metadata } = report.metadata;
  return {
    ...report,
    metadata: { ...metadata, name: toTrustReportName(username) },
    status: { username, reportedAt: formatTime(now) },
  };
}

/** Returns a posted report as it replaces the user's earlier one: what the server has seen of the user is kept. */
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
