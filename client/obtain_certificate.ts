/** One certificate over the API, from the request to the checked answer; what is asked and where it is kept is the caller's. */
import type { CredentialPair } from "../core/bootstrap/credential_pair.ts";
import type { CertificateSigningRequest } from "../core/kube/certificates_v1.ts";
import { certificateSigningRequestKind } from "../core/kube/kinds/mod.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import { type CertificateRequest, submitRequest, type SubmittedRequest } from "./csr_request.ts";
import { lookForCertificate, waitForCertificate, type WaitOptions } from "./csr_wait.ts";
import { blameClock, checkIssued } from "./issued_certificate.ts";
import { createObjectStore } from "./object_store.ts";
import type { TimedTransport } from "./server_time.ts";

/** What is asked for, whom, and for how long. */
export interface ObtainOptions {
  readonly transport: TimedTransport;
  readonly request: CertificateRequest;
  readonly timeoutSeconds: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onProgress?: (event: ObtainProgress) => void;
  /** Done between asking and waiting, such as an approval by whoever asks. */
  readonly afterSubmit?: (submitted: SubmittedRequest, signal: AbortSignal) => Promise<void>;
}

/** What happens on the way, for a person who watches. */
export type ObtainProgress =
  | { readonly kind: "submitted"; readonly name: string; readonly adopted: boolean; readonly signerName: string }
  | { readonly kind: "approved"; readonly name: string; readonly reason: string }
  | { readonly kind: "issued"; readonly name: string; readonly notBefore: Date; readonly notAfter: Date };

/** The request that was answered, and the pair: the certificate that came with the key it was asked for. */
export interface ObtainedCertificate {
  readonly submitted: SubmittedRequest;
  readonly pair: CredentialPair;
}

/**
 * Submits the request, or adopts an earlier one, waits, and checks what comes. AppError: what `submitRequest` and
 * `waitForCertificate` throw, `csr_failed` for a certificate that is not what was asked for, `clock_skew`.
 */
export async function obtainCertificate(options: ObtainOptions, signal: AbortSignal): Promise<ObtainedCertificate> {
  const submitted = await submit(options, signal);
  const certificatePem = await waitForCertificate(waitOptions(options, submitted), signal);
  return { submitted, pair: check(options, submitted, certificatePem) };
}

/** What a request without a certificate waits for: a decision, or the signer. */
export interface PendingCertificate {
  readonly submitted: SubmittedRequest;
  readonly pair: undefined;
  readonly isApproved: boolean;
}

/** The same without waiting. */
export async function tryToObtainCertificate(
  options: ObtainOptions,
  signal: AbortSignal,
): Promise<ObtainedCertificate | PendingCertificate> {
  const submitted = await submit(options, signal);
  const wait = waitOptions(options, submitted);
  let isApproved = false;
  const onApproved = (reason: string): void => {
    isApproved = true;
    wait.onApproved?.(reason);
  };
  const certificatePem = await lookForCertificate({ ...wait, onApproved }, signal);
  if (certificatePem === undefined) return { submitted, pair: undefined, isApproved };
  return { submitted, pair: check(options, submitted, certificatePem) };
}

async function submit(options: ObtainOptions, signal: AbortSignal): Promise<SubmittedRequest> {
  const { transport, request, clock, logger, onProgress } = options;
  const { signerName } = request;
  const csrs = createObjectStore<CertificateSigningRequest>(transport, certificateSigningRequestKind, options);
  const submitted = await submitRequest(csrs, request, clock, signal).catch((error: unknown) => {
    throw blameClock(error, transport.findSkew());
  });
  const { name, adopted } = submitted;
  logger.info(adopted ? "CSR adopted" : "CSR created", { csr: name, signerName });
  onProgress?.({ kind: "submitted", name, adopted, signerName });
  await options.afterSubmit?.(submitted, signal);
  return submitted;
}

function waitOptions(options: ObtainOptions, { name, uid }: SubmittedRequest): WaitOptions {
  const { transport, timeoutSeconds, clock, random, logger, onProgress } = options;
  const onApproved = (reason: string): void => onProgress?.({ kind: "approved", name, reason });
  return { transport, name, uid, clock, random, logger, timeoutSeconds, onApproved };
}

function check(options: ObtainOptions, { name }: SubmittedRequest, certificatePem: string): CredentialPair {
  const { transport, request, clock, logger, onProgress } = options;
  const pair = checkIssued(certificatePem, { csrName: name, request, now: clock.now(), skew: transport.findSkew() });
  const { notBefore, notAfter, sha256Fingerprint } = pair.leaf;
  logger.info("certificate issued", {
    csr: name,
    signerName: request.signerName,
    fingerprint: sha256Fingerprint,
    notAfter,
  });
  onProgress?.({ kind: "issued", name, notBefore, notAfter });
  return pair;
}
