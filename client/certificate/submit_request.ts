/**
 * Submits a certificate request: creates the CSR, or adopts an earlier one with the same name, and waits until it has its
 * certificate or has failed (client-go `util/certificate/csr/csr.go`, WaitForCertificate).
 */
import { checkAdoptable } from "../../core/machine/adoption.ts";
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import { formatApiVersion } from "../../core/kube/schema.ts";
import type { PrivateKey } from "../../core/pki/keys/keys.ts";
import type { SubjectFields } from "../../core/pki/x509/names.ts";
import { decodeBase64, encodeBase64 } from "../../core/lib/encodings.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { createCertificationRequest } from "../../core/pki/x509/pkcs10.ts";
import type { Clock, CsrStore, Logger, Random, Transport } from "../../core/ports.ts";
import { shellWord } from "../../core/lib/printable.ts";
import { getCsrPhase } from "../../core/request/phase.ts";
import { describeMissingSigner } from "../../core/request/signer_name.ts";
import { limitTime } from "../transport/time_limit.ts";
import { createObjectStore } from "../objects/object_store.ts";

/** The content of a certificate request. */
export interface CertificateRequest {
  readonly key: PrivateKey;
  readonly subject: SubjectFields;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly emailAddresses?: readonly string[];
  readonly uris?: readonly string[];
  readonly signerName: string;
  /** The usages in the order in which they are sent. */
  readonly usages: readonly string[];
  readonly expirationSeconds?: number | undefined;
  /** A CSR with a fixed name can be adopted after a restart. With a prefix the server generates the name. */
  readonly name: { readonly fixed: string } | { readonly prefix: string };
  /** Adopt only a CSR with the same names, usages and lifetime. By default the check is that of client-go. */
  readonly isExact?: boolean;
}

/** A CSR in the API, created or adopted. */
export interface SubmittedRequest {
  readonly name: string;
  readonly uid: string;
  readonly adopted: boolean;
}

/**
 * Creates the CSR. When its fixed name is taken, the existing CSR is adopted if it is for the same key and signer
 * (client-go `util/certificate/csr/csr.go`, RequestCertificate); AppError `csr_incompatible` otherwise. Other failures
 * keep the API's code.
 */
export async function submitRequest(
  store: CsrStore,
  request: CertificateRequest,
  clock: Clock,
  signal: AbortSignal,
): Promise<SubmittedRequest> {
  const csr = buildCsr(request);
  try {
    return toSubmitted(await store.create(csr, signal), false);
  } catch (error) {
    if (!isAppError(error, "already_exists") || !("fixed" in request.name)) {
      throw explainFailure(explainInvalid(error, csr), "cannot create certificate signing request");
    }
    return toSubmitted(await adopt(store, request, csr, request.name.fixed, clock, signal), true);
  }
}

async function adopt(
  store: CsrStore,
  request: CertificateRequest,
  own: CertificateSigningRequest,
  name: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<CertificateSigningRequest> {
  const stored = await store.get(name, signal).catch((error: unknown) => {
    throw explainFailure(error, "cannot retrieve certificate signing request");
  });
  if (stored === undefined) {
    throw new AppError(
      "csr_deleted",
      `cannot retrieve certificate signing request: "${name}" was deleted in the meantime`,
      { retryable: true, hint: "run the command again" },
    );
  }
  const publicKeyDer = request.key.publicKeyDer();
  const adoptable = checkAdoptable(stored, own, { publicKeyDer, now: clock.now(), isExact: request.isExact ?? false });
  if (adoptable.ok) return stored;
  throw new AppError("csr_incompatible", `retrieved csr is not compatible: ${adoptable.error}`, {
    hint: `delete it, then run the command again: tlsboot delete csr ${shellWord(name)}`,
  });
}

export function buildCsr(request: CertificateRequest): CertificateSigningRequest {
  const requestPem = encodePem("CERTIFICATE REQUEST", createCertificationRequest(request, request.key));
  return {
    apiVersion: formatApiVersion(certificateSigningRequestKind),
    kind: certificateSigningRequestKind.kind,
    metadata: "fixed" in request.name ? { name: request.name.fixed } : { generateName: request.name.prefix },
    spec: {
      request: encodeBase64(requestPem),
      signerName: request.signerName,
      ...(request.expirationSeconds === undefined ? {} : { expirationSeconds: request.expirationSeconds }),
      usages: request.usages,
    },
    status: {},
  };
}

function toSubmitted(csr: CertificateSigningRequest, adopted: boolean): SubmittedRequest {
  return { name: csr.metadata.name ?? "", uid: csr.metadata.uid ?? "", adopted };
}

/** Prefixes an error with the failed operation, and adds a hint to it. */
function explainFailure(error: unknown, doing: string): unknown {
  if (!(error instanceof AppError)) return error;
  const hint = error.hint ?? (error.code === "access_denied" ? findRefusalHint(error.message) : HINTS[error.code]);
  return new AppError(error.code, `${doing}: ${getErrorMessage(error)}`, {
    cause: error,
    retryable: error.retryable,
    hint,
  });
}

/**
 * Shortens the answer to an invalid request, which quotes the whole request, and adds the next step for an ML-DSA key.
 */
function explainInvalid(error: unknown, { spec: { request } }: CertificateSigningRequest): unknown {
  if (!isAppError(error, "invalid") || request === null) return error;
  const message = error.message.replaceAll(request, `${request.slice(0, 16)}…`);
  // Every API knows the other key algorithms.
  const hint = message.endsWith(": algorithm unimplemented") ? ML_DSA_HINT : error.hint;
  return new AppError(error.code, message, { cause: error, hint });
}

const ML_DSA_HINT = "this API refuses keys of ML-DSA; tlsboot accepts them with the feature MLDSA of the setting " +
  "featureGates; for another key, remove the kept one and choose another algorithm";

/**
 * Finds the next step after a refusal because of a revocation (`core/revocation/revocation.ts`), the limits of a
 * bootstrap token (`core/token/bound_token.ts`), or missing permissions.
 */
function findRefusalHint(message: string): string {
  const [, reason = ""] = message.split(" is forbidden: ", 2);
  const [, kind, name] = /^the [a-z ]+: (node|user|group|token) "([^"\\]+)" is revoked\b/.exec(reason) ?? [];
  if (kind !== undefined) {
    return `to accept it again, an administrator ends the revocation: tlsboot unrevoke ${shellWord(`${kind}/${name}`)}`;
  }
  return /\bthe token\b/.test(reason) ? TOKEN_HINT : ROLE_HINT;
}

const TOKEN_HINT = "the token was made for another machine or has been used; make one for this machine with: " +
  "tlsboot token create --node NAME";

const ROLE_HINT = "bind the user's group to the cluster role system:node-bootstrapper";

const HINTS: Readonly<Partial<Record<AppError["code"], string>>> = {
  unauthorized: "the token is wrong, has expired or is used up; make another with: tlsboot token create",
  not_found: "check that the server is a Kubernetes API with certificates.k8s.io/v1",
};

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
  /** Called once while the CSR is undecided; `pollForCertificate` calls it after two seconds. */
  readonly onPending?: () => void;
  /** Called once when the CSR is approved before it has a certificate. */
  readonly onApproved?: (reason: string) => void;
}

const PROBE_PAUSE_MS = 1_000;
/** A server that has just started may not know its tokens and roles yet. This many refusals in a row are final. */
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
/** Policies decide within a second, so a request that is still pending after this many reads waits for a person. */
const READS_BEFORE_REPORT = 5;

/**
 * Like `waitForCertificate`, but polls the request by its name, for a user who may not list requests. Also throws the
 * errors of these reads, such as `unreachable`.
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
  await readWithRetries(() => store.list(signal), clock, signal);
  let isSeen = false;
  let isPendingReported = false;
  let isApprovalReported = false;
  for await (const change of store.changes(signal)) {
    if (change.kind === "synced") {
      if (!isSeen && await isDeleted(store, name, clock, signal)) throw createDeletedError(name);
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
 * Reports whether a CSR that a list does not show was deleted before the list. The list may come from a cache that
 * lacks the CSR; a read by name does not. Returns false for a user who may not read it.
 */
async function isDeleted(store: CsrStore, name: string, clock: Clock, signal: AbortSignal): Promise<boolean> {
  try {
    return await readWithRetries(() => store.get(name, signal), clock, signal) === undefined;
  } catch (error) {
    if (isAppError(error, "access_denied")) return false;
    throw error;
  }
}

/** Reads until the API answers. */
async function readWithRetries<T>(read: () => Promise<T>, clock: Clock, signal: AbortSignal): Promise<T> {
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
