/** Signs a request by the rules of a signer, without an API. */
import { basename } from "node:path";
import { verifyRequest } from "../core/request/parse_request.ts";
import type { CertificateSigningRequest } from "../core/kube/kinds/certificates_v1.ts";
import { AppError } from "../core/errors.ts";
import type { Authority } from "../core/pki/authority/authority.ts";
import {
  type CertificatePlan,
  chainNotAfter,
  encodeIssued,
  issueCertificate,
  SERIAL_BYTES,
} from "../core/pki/authority/issue.ts";
import type { RequestFacts } from "../core/pki/x509/pkcs10.ts";
import type { Clock, Random } from "../core/ports.ts";
import { type ClientTrust, planCertificate } from "../core/signing/plan.ts";
import type { SigningProfile } from "../core/signing/profile.ts";
import { findSubjectRestriction } from "../core/request/validate.ts";
import { parseRequestFile, type RequestFileOptions } from "./request_file.ts";

/** The rules and the CA that all requests of a run share. */
export interface RequestSigning {
  readonly profile: SigningProfile;
  readonly authority: Authority;
  readonly clientTrust: ClientTrust;
  readonly asked: RequestFileOptions;
  readonly signingDurationSeconds: number;
  /** Whether requests for ML-DSA keys are signed. */
  readonly allowMlDsa?: boolean;
  /** Records a certificate (DER) before it is returned. */
  readonly record?: ((certificate: Uint8Array<ArrayBuffer>) => Promise<void>) | undefined;
  /** Whether the intermediates of the CA follow each certificate. */
  readonly chain: boolean;
}

/** A request that the rules of its signer allow, and the certificate that it gets. */
export interface PlannedRequest {
  readonly csr: CertificateSigningRequest;
  readonly facts: RequestFacts;
  readonly plan: CertificatePlan;
}

/**
 * Plans the certificate of a request without signing anything. Throws AppError `csr_denied` when the rules refuse it,
 * `invalid` when it is not a request, and `ca_expired`. `file` is the path of the request in messages.
 */
export function planRequest(
  bytes: Uint8Array,
  file: string,
  signing: Omit<RequestSigning, "record" | "chain">,
  { clock }: { readonly clock: Pick<Clock, "now"> },
): PlannedRequest {
  const { profile, authority, clientTrust, allowMlDsa = false } = signing;
  const request = parseRequestFile(basename(file), bytes, signing.asked);
  if (!request.ok) throw new AppError("invalid", `cannot sign "${file}": ${request.error}`);
  const { csr, facts } = request.value;
  const verified = verifyRequest(facts, { allowMlDsa });
  const fault = verified.ok ? findSubjectRestriction(profile.signerName, facts.subject.organizations) : verified.error;
  if (fault !== undefined) throw createRefusal(file, fault);
  const plan = planCertificate({
    csr,
    facts,
    profile,
    caNotAfter: chainNotAfter(authority),
    issuers: [authority.certificate, ...authority.issuers],
    clientTrust,
    signingDurationSeconds: signing.signingDurationSeconds,
    allowMlDsa,
    now: clock.now(),
  });
  if (plan.ok) return { csr, facts, plan: plan.value };
  if (plan.error.kind === "failed") throw createRefusal(file, plan.error.message);
  throw new AppError("ca_expired", `cannot sign "${file}": ${plan.error.message}`);
}

/**
 * Signs a request and returns the certificate, PEM, followed by its chain. Throws as `planRequest`, and what recording
 * throws.
 */
export async function signRequest(
  bytes: Uint8Array,
  file: string,
  signing: RequestSigning,
  deps: { readonly clock: Pick<Clock, "now">; readonly random: Random },
): Promise<string> {
  const { plan } = planRequest(bytes, file, signing, deps);
  const der = await issueCertificate(plan, signing.authority, deps.random.bytes(SERIAL_BYTES));
  await signing.record?.(der);
  return encodeIssued(der, signing.authority, signing.chain);
}

function createRefusal(file: string, why: string): AppError {
  return new AppError("csr_denied", `cannot sign "${file}": ${why}`, {
    hint: "see its contents with: tlsboot inspect FILE",
  });
}
