/**
 * Waits until a CSR has its certificate or has failed (client-go `util/certificate/csr/csr.go`, WaitForCertificate).
 */
import { getCsrPhase } from "../../core/request/phase.ts";
import { describeMissingSigner } from "../../core/request/missing_signer.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import { decodeBase64 } from "../../core/lib/base64.ts";
import type { Clock, CsrStore, Logger, Random, Transport } from "../../core/ports.ts";
import { shellWord } from "../../core/lib/shell_word.ts";
import { explainFailure } from "./submit_request.ts";
import { limitTime } from "../transport/time_limit.ts";
import { createObjectStore } from "../objects/object_store.ts";

/** The CSR to wait for, and for how long. */
export interface WaitOptions {
  readonly transport: Transport;
  readonly name: string;
  /** The UID of the created or adopted CSR: a later one with the same name is another request. */
  readonly uid: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly timeoutSeconds: number;
  /** The signer of the CSR, for messages of `pollForCertificate`. */
  readonly signerName?: string;
  /** Called once when the CSR is not decided; by `pollForCertificate` after two seconds. */
  readonly onPending?: () => void;
  /** Called once when the CSR is approved before it has a certificate. */
  readonly onApproved?: (reason: string) => void;
}

const PROBE_PAUSE_MS = 1_000;
/** A server that has just started may not know its tokens and roles yet; after this many refusals they are final. */
const MAX_REFUSALS = 5;

/**
 * Waits for the certificate and returns it as PEM. AppError `csr_denied`, `csr_failed`, `csr_deleted`, `timeout`, and
 * `unauthorized` or `access_denied` when the API keeps refusing the watch.
 */
export async function waitForCertificate(options: WaitOptions, signal: AbortSignal): Promise<string> {
  const { name, clock, timeoutSeconds } = options;
  let approvedFor: string | undefined;
  const onUnsigned = (signerName: string): void => void (approvedFor = signerName);
  await using limit = limitTime(clock, timeoutSeconds * 1000, () => createTimeoutError(name, approvedFor), signal);
  return await follow(options, onUnsigned, limit.signal);
}

/** Creates the error of a timeout: the CSR waited for an approval or, once it was approved, for the signer. */
function createTimeoutError(name: string, approvedFor: string | undefined): AppError {
  if (approvedFor === undefined) {
    return new AppError("timeout", `cannot get a certificate for "${name}": timed out waiting for the condition`, {
      hint: `approve it, then run the command again: tlsboot approve ${shellWord(name)}`,
    });
  }
  const why = `it is approved, but no signer for "${approvedFor}" has issued the certificate`;
  return new AppError(
    "timeout",
    `cannot get a certificate for "${name}": timed out waiting for the condition: ${why}`,
    {
      hint: `${describeMissingSigner(approvedFor)}; then run the command again`,
    },
  );
}

/**
 * Reads the CSR once and returns its certificate; undefined while it has none. Throws like `waitForCertificate`, and
 * calls `onApproved` for an approved CSR.
 */
export async function findIssuedCertificate(options: WaitOptions, signal: AbortSignal): Promise<string | undefined> {
  const store = createObjectStore<CertificateSigningRequest>(options.transport, certificateSigningRequestKind, options);
  const csr = await store.get(options.name, signal);
  if (csr === undefined) throw createDeletedError(options.name);
  const outcome = getOutcome(csr, options);
  if (outcome.kind === "approved") options.onApproved?.(outcome.reason);
  return outcome.kind === "issued" ? outcome.certificatePem : undefined;
}

/** The first pause between two reads of a request, and the longest one. */
const FIRST_POLL_MS = 250;
const LONGEST_POLL_MS = 5_000;
/** A rule decides within a second, so that a request that is still pending then waits for a person. */
const READS_BEFORE_REPORT = 5;

/**
 * Waits as `waitForCertificate`, but reads the request by its name again and again: for a user who may not list requests.
 * AppError also those of reading it, such as `unreachable`.
 */
export async function pollForCertificate(options: WaitOptions, signal: AbortSignal): Promise<string> {
  const { name, clock, timeoutSeconds } = options;
  let approval: string | undefined;
  const onApproved = (reason: string): void => {
    if (approval === undefined) options.onApproved?.(reason);
    approval = reason;
  };
  const tooLate = () => createTimeoutError(name, approval === undefined ? undefined : options.signerName ?? "");
  await using limit = limitTime(clock, timeoutSeconds * 1000, tooLate, signal);
  let reads = 0;
  for (let pause = FIRST_POLL_MS;; pause = Math.min(pause * 1.5, LONGEST_POLL_MS)) {
    const found = await findIssuedCertificate({ ...options, onApproved }, limit.signal);
    if (found !== undefined) return found;
    if (++reads === READS_BEFORE_REPORT && approval === undefined) options.onPending?.();
    await clock.sleep(pause, limit.signal);
  }
}

async function follow(
  options: WaitOptions,
  onUnsigned: (signerName: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const { name, clock } = options;
  const store = createFollowedStore(options);
  // As in client-go, a list before the watch checks that the API answers.
  await readPatiently(() => store.list(signal), clock, signal);
  let isSeen = false;
  let isPendingReported = false;
  let isApprovalReported = false;
  for await (const change of store.changes(signal)) {
    if (change.kind === "synced") {
      if (!isSeen && await isGone(store, name, clock, signal)) throw createDeletedError(name);
      continue;
    }
    isSeen = true;
    if (change.kind === "deleted") throw createDeletedError(name);
    const outcome = getOutcome(change.object, options);
    if (outcome.kind === "issued") return outcome.certificatePem;
    if (outcome.kind === "pending" && !isPendingReported) {
      isPendingReported = true;
      options.onPending?.();
    }
    if (outcome.kind === "approved" && !isApprovalReported) {
      isApprovalReported = true;
      onUnsigned(change.object.spec.signerName);
      options.onApproved?.(outcome.reason);
    }
  }
  throw new AppError("internal", "cannot watch on the certificate signing request: the watch ended");
}

function createFollowedStore(options: WaitOptions): CsrStore {
  let refusals = 0;
  return createObjectStore<CertificateSigningRequest>(options.transport, certificateSigningRequestKind, {
    fieldSelector: `metadata.name=${options.name}`,
    clock: options.clock,
    random: options.random,
    logger: options.logger,
    onFailure(error) {
      if (isAppError(error, "tls_untrusted")) throw error;
      refusals = isAppError(error, "unauthorized", "access_denied") ? refusals + 1 : 0;
      if (refusals >= MAX_REFUSALS) throw explainFailure(error, "cannot watch on the certificate signing request");
    },
  });
}

/**
 * Reports whether a CSR that a list does not show was deleted before the list. The list may come from a cache that does not
 * have the CSR yet; a read of one name does not. Without the right to read it, the answer is false.
 */
async function isGone(store: CsrStore, name: string, clock: Clock, signal: AbortSignal): Promise<boolean> {
  try {
    return await readPatiently(() => store.get(name, signal), clock, signal) === undefined;
  } catch (error) {
    if (isAppError(error, "access_denied")) return false;
    throw error;
  }
}

/** Reads until the API answers. */
async function readPatiently<T>(read: () => Promise<T>, clock: Clock, signal: AbortSignal): Promise<T> {
  for (let refusals = 0;;) {
    try {
      return await read();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError) || error.code === "tls_untrusted") throw error;
      refusals = isAppError(error, "unauthorized", "access_denied") ? refusals + 1 : 0;
      if (refusals >= MAX_REFUSALS) throw explainFailure(error, "cannot watch on the certificate signing request");
    }
    await clock.sleep(PROBE_PAUSE_MS, signal);
  }
}

type CsrOutcome =
  | { readonly kind: "pending" }
  | { readonly kind: "approved"; readonly reason: string }
  | { readonly kind: "issued"; readonly certificatePem: string };

function getOutcome(csr: CertificateSigningRequest, options: WaitOptions): CsrOutcome {
  const { name } = options;
  if (csr.metadata.uid !== options.uid) {
    throw new AppError("csr_deleted", `csr "${name}" changed UIDs`, { hint: "run the command again" });
  }
  const phase = getCsrPhase({ ...csr, status: csr.status ?? {} });
  switch (phase.kind) {
    case "denied":
      throw new AppError(
        "csr_denied",
        `certificate signing request is denied, reason: ${phase.reason}, message: ${phase.message}`,
        { hint: `to request it again, delete it first: tlsboot delete csr ${shellWord(name)}` },
      );
    case "failed":
      throw new AppError(
        "csr_failed",
        `certificate signing request failed, reason: ${phase.reason}, message: ${phase.message}`,
        { hint: `see the message of the signer: tlsboot describe csr ${shellWord(name)}` },
      );
    case "issued":
      return { kind: "issued", certificatePem: decodeCertificate(phase.certificate) };
    case "approved":
    case "pending":
      return phase;
  }
}

function decodeCertificate(base64: string): string {
  const bytes = decodeBase64(base64);
  if (bytes !== undefined) return new TextDecoder().decode(bytes);
  throw new AppError("csr_failed", "cannot read the issued certificate: it is not base64");
}

function createDeletedError(name: string): AppError {
  return new AppError("csr_deleted", `csr "${name}" was deleted`, { hint: "run the command again" });
}
