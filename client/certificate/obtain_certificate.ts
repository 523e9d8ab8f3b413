/** Obtains a certificate: keep a key → submit a request → wait → check the certificate → store it. */
import { type CredentialPair, parseCredentialPair } from "../../core/machine/credential_pair.ts";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import { formatTime } from "../../core/kube/meta.ts";
import { shellWord } from "../../core/lib/printable.ts";
import type { PrivateKey } from "../../core/pki/keys/keys.ts";
import type { Clock, Logger, Random, Transport } from "../../core/ports.ts";
import {
  type CertificateRequest,
  findIssuedCertificate,
  pollForCertificate,
  submitRequest,
  type SubmittedRequest,
  waitForCertificate,
  type WaitOptions,
} from "./submit_request.ts";
import { createObjectStore } from "../objects/object_store.ts";
import type { ClockReading } from "../../core/report/health/machine.ts";
import { isSkewed, observeServerTime, type TimedTransport } from "../transport/server_time.ts";
import { findIssuedFault } from "../../core/request/issued_certificate.ts";

/** The steps of obtaining a certificate that differ between its callers, and the adapters. */
export interface ObtainOptions {
  /** Chooses the key, and stores it where a later run finds it. If it is not stored, an interrupted run starts over. */
  readonly keepKey: () => Promise<{ readonly key: PrivateKey }>;
  readonly createRequest: (key: PrivateKey) => CertificateRequest;
  /** Opens a connection, which is closed at the end. */
  readonly connect: () => Promise<Transport & AsyncDisposable>;
  /** Runs before the request is submitted; for example it waits for the server. */
  readonly beforeSubmit?: (transport: TimedTransport, signal: AbortSignal) => Promise<void>;
  /** Runs between submitting and waiting; for example it approves the request. */
  readonly afterSubmit?: ((submitted: SubmittedRequest, signal: AbortSignal) => Promise<void>) | undefined;
  readonly timeoutSeconds: number;
  /** Whether to read the request by its name instead of watching it, for a user who may not list requests. */
  readonly isPolling?: boolean;
  /** Stores the certificate with its key, and then forgets the kept key. */
  readonly store?: (pair: CredentialPair) => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onProgress?: ((event: ObtainProgress) => void) | undefined;
}

/** A step of obtaining a certificate, for progress output. */
export type ObtainProgress =
  | { readonly kind: "submitted"; readonly name: string; readonly adopted: boolean; readonly signerName: string }
  /** The request is not decided yet. */
  | { readonly kind: "pending"; readonly name: string }
  | { readonly kind: "approved"; readonly name: string; readonly reason: string }
  | { readonly kind: "issued"; readonly name: string; readonly notBefore: Date; readonly notAfter: Date };

/** The request, and the issued certificate with its key. */
export interface ObtainedCertificate {
  readonly submitted: SubmittedRequest;
  readonly pair: CredentialPair;
}

/** A request that still waits for a decision or, once approved, for the signer. */
export interface PendingCertificate {
  readonly submitted: SubmittedRequest;
  readonly pair: undefined;
  readonly isApproved: boolean;
}

/**
 * Obtains a certificate: keeps a key, submits the request or adopts an earlier one, waits, checks the certificate, and
 * stores it. AppError: those of the callbacks, of `submitRequest` and of `waitForCertificate`, `csr_failed` for a
 * certificate that does not match the request, and `clock_skew`.
 */
export async function obtainCertificate(options: ObtainOptions, signal: AbortSignal): Promise<ObtainedCertificate> {
  return await submit(options, signal, async (attempt) => {
    const wait = options.isPolling === true ? pollForCertificate : waitForCertificate;
    const certificatePem = await wait(toWaitOptions(options, attempt), signal);
    return await finish(options, attempt, certificatePem);
  });
}

/** Like `obtainCertificate`, but returns the pending request instead of waiting. */
export async function tryToObtainCertificate(
  options: ObtainOptions,
  signal: AbortSignal,
): Promise<ObtainedCertificate | PendingCertificate> {
  return await submit(options, signal, async (attempt) => {
    const wait = toWaitOptions(options, attempt);
    let isApproved = false;
    const onApproved = (reason: string): void => {
      isApproved = true;
      wait.onApproved?.(reason);
    };
    const certificatePem = await findIssuedCertificate({ ...wait, onApproved }, signal);
    if (certificatePem === undefined) return { submitted: attempt.submitted, pair: undefined, isApproved };
    return await finish(options, attempt, certificatePem);
  });
}

/** A submitted request, and the transport over which its certificate is fetched. */
interface Attempt {
  readonly request: CertificateRequest;
  readonly transport: TimedTransport;
  readonly submitted: SubmittedRequest;
}

/** Keeps a key, submits the request, and calls `proceed` while the connection is open. */
async function submit<T>(
  options: ObtainOptions,
  signal: AbortSignal,
  proceed: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  const { clock, logger, onProgress } = options;
  const { key } = await options.keepKey();
  const request = options.createRequest(key);
  await using connection = await options.connect();
  const transport = observeServerTime(connection, clock);
  await options.beforeSubmit?.(transport, signal);
  const csrs = createObjectStore<CertificateSigningRequest>(transport, certificateSigningRequestKind, options);
  const submitted = await submitRequest(csrs, request, clock, signal).catch((error: unknown) => {
    throw blameClock(error, transport.findSkew());
  });
  const { name, adopted } = submitted;
  const { signerName } = request;
  logger.info(adopted ? "CSR adopted" : "CSR created", { csr: name, signerName });
  onProgress?.({ kind: "submitted", name, adopted, signerName });
  await options.afterSubmit?.(submitted, signal);
  return await proceed({ request, transport, submitted });
}

function toWaitOptions(options: ObtainOptions, { transport, submitted: { name, uid }, request }: Attempt): WaitOptions {
  const { timeoutSeconds, clock, random, logger, onProgress } = options;
  const onApproved = (reason: string): void => onProgress?.({ kind: "approved", name, reason });
  const { signerName } = request;
  const onPending = (): void => onProgress?.({ kind: "pending", name });
  return { transport, name, uid, signerName, clock, random, logger, timeoutSeconds, onApproved, onPending };
}

async function finish(options: ObtainOptions, attempt: Attempt, certificatePem: string): Promise<ObtainedCertificate> {
  const { clock, logger, onProgress } = options;
  const { request, transport, submitted } = attempt;
  const csrName = submitted.name;
  const pair = checkIssued(certificatePem, { csrName, request, now: clock.now(), skew: transport.findSkew() });
  const { notBefore, notAfter, sha256Fingerprint } = pair.leaf;
  logger.info("certificate issued", {
    csr: csrName,
    signerName: request.signerName,
    fingerprint: sha256Fingerprint,
    notAfter,
  });
  onProgress?.({ kind: "issued", name: csrName, notBefore, notAfter });
  await options.store?.(pair);
  return { submitted, pair };
}

/** The request of a certificate, and the readings of both clocks. */
interface IssuedCheck {
  /** The name of the request, for messages. */
  readonly csrName: string;
  readonly request: CertificateRequest;
  readonly now: Date;
  readonly skew: ClockReading | undefined;
  /** The hint for a certificate that does not match. Default: check the signer, and delete the CSR. */
  readonly hint?: string;
}

/**
 * Checks that the certificate belongs to the key, matches the request, and is valid by this machine's clock. AppError
 * `csr_failed`, `clock_skew`.
 */
export function checkIssued(certificatePem: string, check: IssuedCheck): CredentialPair {
  const pair = parseCredentialPair(certificatePem, check.request.key.toPem());
  if (!pair.ok) throw createMismatchError(check, pair.error);
  const { leaf, chain } = pair.value;
  const fault = findIssuedFault(leaf, check.request);
  if (fault !== undefined) throw createMismatchError(check, fault);
  for (const { notBefore, notAfter } of chain) {
    if (check.now >= notBefore && check.now <= notAfter) continue;
    throw createLifetimeError(check, notBefore, notAfter);
  }
  return pair.value;
}

function createMismatchError(check: IssuedCheck, why: string): AppError {
  return new AppError("csr_failed", `cannot use the certificate of "${check.csrName}": ${why}`, {
    hint: check.hint ??
      `check the signer; to request it again, delete the request first: tlsboot delete csr ${shellWord(check.csrName)}`,
  });
}

function createLifetimeError(check: IssuedCheck, notBefore: Date, notAfter: Date): AppError {
  const server = check.skew === undefined ? "" : `, the server's ${formatTime(check.skew.serverTime)}`;
  const lifetime = `it is valid from ${formatTime(notBefore)} to ${formatTime(notAfter)}`;
  const clocks = `this machine's clock says ${formatTime(check.now)}${server}`;
  return new AppError("clock_skew", `cannot use the certificate of "${check.csrName}": ${lifetime}, but ${clocks}`, {
    hint: "set this machine's clock, then run the command again",
  });
}

/** Replaces an error with `clock_skew` if a clock difference explains it. */
function blameClock(error: unknown, skew: ClockReading | undefined): unknown {
  if (!(error instanceof AppError) || error.code !== "csr_incompatible" || !error.message.includes("has expired")) {
    return error;
  }
  if (!isSkewed(skew)) return error;
  const clocks = `this machine's clock says ${formatTime(skew.ourTime)}, the server's ${formatTime(skew.serverTime)}`;
  return new AppError("clock_skew", `${error.message} (${clocks})`, {
    cause: error,
    hint: "set this machine's clock, then run the command again",
  });
}
