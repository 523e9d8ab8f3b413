/** Requests a certificate with steps on stderr, and reports where the certificate differs from what the user wanted. */
import { type RequestOutcome, type RequestProgress, RequestRefusedError } from "../../client/request_certificate.ts";
import { getRenewalTime } from "../../core/machine/renewal_schedule.ts";
import { describeMissingSigner } from "../../core/request/signer_name.ts";
import { formatTime } from "../../core/kube/meta.ts";
import { formatSettingDuration } from "../../core/lib/duration.ts";
import { line, shellWord } from "../../core/lib/printable.ts";
import type { Io } from "../io.ts";
import { displayPath } from "./files.ts";
import { createSteps, findDeadline } from "./progress.ts";
import { UsageError } from "../exit_code.ts";

/** The wanted certificate, with which the issued one is compared. */
export interface WantedCertificate {
  readonly timeoutSeconds: number;
  readonly expirationSeconds?: number | undefined;
  readonly renewBeforeMs?: number | undefined;
  /** Whether the command repeats the request, so that it must not warn each time about a certificate that it keeps. */
  readonly isRepeated?: boolean;
}

/** Receives the progress of a request. */
export interface RequestObserver {
  readonly onProgress: (event: RequestProgress) => void;
  /** Prints a step of the command itself. */
  readonly report: (text: string) => void;
}

/** The part of an outcome that is compared with what the user wants. */
type Requested =
  | { readonly kind: "pending" }
  | { readonly kind: "kept" | "issued"; readonly leaf: { readonly notBefore: Date; readonly notAfter: Date } };

/** Requests a certificate and prints each step on stderr. Throws UsageError for a request that would be refused. */
export async function requestWithSteps<T extends Requested>(
  request: (observer: RequestObserver) => Promise<T>,
  { timeoutSeconds, expirationSeconds, renewBeforeMs, isRepeated = false }: WantedCertificate,
  io: Io,
): Promise<T> {
  using steps = createSteps(io);
  let until: Date | undefined;
  const onProgress = (event: RequestProgress): void => {
    if (event.kind === "submitted") until = findDeadline(timeoutSeconds * 1000, io.clock);
    const text = describeProgress(event, io.cwd);
    const what = event.kind === "pending" ? "approval" : event.kind === "approved" ? "the certificate" : undefined;
    if (text !== undefined) steps.step(text, what === undefined ? undefined : { what, until });
  };
  const report = (text: string | undefined): void => {
    if (text !== undefined) steps.step(text);
  };
  try {
    const outcome = await request({ onProgress, report });
    if (outcome.kind === "issued") report(describeShortenedLifetime(outcome.leaf, expirationSeconds));
    if (outcome.kind === "issued" || (outcome.kind === "kept" && !isRepeated)) {
      report(describeIgnoredRenewal(outcome.leaf, renewBeforeMs));
    }
    return outcome;
  } catch (error) {
    throw error instanceof RequestRefusedError ? new UsageError(error.message) : error;
  }
}

/** Reports what a request without a certificate is waiting for. */
export function reportPending(
  { submitted, isApproved, signerName }: RequestOutcome & { readonly kind: "pending" },
  io: Pick<Io, "stderr">,
): void {
  const next = isApproved
    ? line`it is approved, but not signed yet: ${describeMissingSigner(signerName)}`
    : line`approve it with: tlsboot approve ${shellWord(submitted.name)}`;
  io.stderr.write(`${next}\nthen run the same command again to get the certificate\n`);
}

/** Describes an event in one line; undefined if the answer of the command reports it. */
function describeProgress(event: RequestProgress, cwd: string): string | undefined {
  switch (event.kind) {
    case "needed":
      return `replacing the existing certificate: ${event.reason}`;
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
 * Describes a certificate whose lifetime is shorter than requested; undefined for any other. Signers that backdate, such as
 * kube-controller-manager by five minutes, subtract that time from the end of a long lifetime, but the time from notBefore
 * to notAfter is never shorter (`PermissiveSigningPolicy`, pkg/controller/certificates/authority/policies.go).
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

/** Describes a --renew-before that is not shorter than the lifetime of the certificate; undefined for any other. */
function describeIgnoredRenewal(
  leaf: { readonly notBefore: Date; readonly notAfter: Date },
  renewBeforeMs: number | undefined,
): string | undefined {
  const lifetimeMs = leaf.notAfter.getTime() - leaf.notBefore.getTime();
  if (renewBeforeMs === undefined || renewBeforeMs < lifetimeMs) return undefined;
  return `--renew-before ${formatSettingDuration(renewBeforeMs)} has no effect, because the certificate lives for ` +
    `${formatSettingDuration(lifetimeMs)}: it will be renewed at ${formatTime(getRenewalTime(leaf, renewBeforeMs))}`;
}
