/** Messages for a user who waits for a certificate. */
import type { RequestProgress } from "../../../client/request.ts";
import { formatDuration } from "../../../core/lib/duration.ts";
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
    case "issued":
      return undefined;
  }
}

/**
 * Reports a certificate whose life is shorter than requested; undefined for any other. Signers that
 * backdate, as kube-controller-manager does by five minutes, take that off a long life but never off the span between
 * both dates (`PermissiveSigningPolicy`, pkg/controller/certificates/authority/policies.go).
 */
export function describeCutLife(
  { notBefore, notAfter }: { readonly notBefore: Date; readonly notAfter: Date },
  askedSeconds: number | undefined,
): string | undefined {
  const given = notAfter.getTime() - notBefore.getTime();
  if (askedSeconds === undefined || given >= askedSeconds * 1_000) return undefined;
  return `the signer gives a life of ${formatDuration(given)}, not the ${
    formatDuration(askedSeconds * 1_000)
  } that were asked for`;
}
