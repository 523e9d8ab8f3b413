/** Messages for a user who waits for a certificate. */
import type { RequestProgress } from "../../../client/request.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { formatSettingDuration } from "../../../core/lib/duration.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { getRenewalTime } from "../../../core/bootstrap/rotation.ts";
import { displayPath } from "../../output/display_path.ts";

/** Describes an event in one line; undefined for an event that the answer reports anyway. */
export function describeRequestProgress(event: RequestProgress, cwd: string): string | undefined {
  switch (event.kind) {
    case "needed":
      return `replacing the certificate that is there: ${event.reason}`;
    case "keyKept":
      return `${event.reused ? "using the key in" : "key made:"} ${displayPath(event.path, cwd)}`;
    case "asking":
      return `asking for: ${event.usages.join(", ")}`;
    case "submitted":
      return `request ${event.name} ${event.adopted ? "taken up again" : "made"} at ${event.signerName}`;
    case "approved":
      return `approved (${event.reason}); waiting for the certificate`;
    case "pending":
      return `waiting for approval: tlsboot approve ${shellWord(event.name)}`;
    case "issued":
      return undefined;
  }
}

/**
 * Describes a certificate whose lifetime is shorter than requested; undefined for any other. Signers that backdate,
 * such as kube-controller-manager by five minutes, subtract that time from a long lifetime, but never from the span
 * between both dates (`PermissiveSigningPolicy`, pkg/controller/certificates/authority/policies.go).
 */
export function describeShortenedLifetime(
  { notBefore, notAfter }: { readonly notBefore: Date; readonly notAfter: Date },
  askedSeconds: number | undefined,
): string | undefined {
  const given = notAfter.getTime() - notBefore.getTime();
  if (askedSeconds === undefined || given >= askedSeconds * 1_000) return undefined;
  return `the signer grants a lifetime of ${formatSettingDuration(given)}, not the requested ${
    formatSettingDuration(askedSeconds * 1_000)
  }`;
}

/** Describes a time of renewal that is not shorter than the lifetime of the certificate; undefined for any other. */
export function describeIgnoredRenewal(
  leaf: { readonly notBefore: Date; readonly notAfter: Date },
  renewBeforeMs: number | undefined,
): string | undefined {
  const lifetimeMs = leaf.notAfter.getTime() - leaf.notBefore.getTime();
  if (renewBeforeMs === undefined || renewBeforeMs < lifetimeMs) return undefined;
  return `--renew-before ${formatSettingDuration(renewBeforeMs)} has no effect, because the certificate lives for ` +
    `${formatSettingDuration(lifetimeMs)}: it will be renewed at ${formatTime(getRenewalTime(leaf, renewBeforeMs))}`;
}
