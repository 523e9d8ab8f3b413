/**
 * A certificate for any program from any signer: what exists is looked at, a key is kept, the request is made or taken
 * up again, waited for, checked and stored. Run again after an interruption it goes on from where it stopped.
 */
import type { CredentialPair } from "../core/bootstrap/credential_pair.ts";
import { defaultUsages } from "../core/csr/default_usages.ts";
import { findRefusals } from "../core/csr/refusal.ts";
import { decideRenewal, type ExistingCredentials, type RenewalWish } from "../core/csr/renewal.ts";
import { createRequestName } from "../core/csr/request_name.ts";
import { parseRequest } from "../core/csr/request.ts";
import { AppError } from "../core/errors.ts";
import type { CertificateFacts } from "../core/pki/certificate.ts";
import {
  generatePrivateKey,
  type KeyAlgorithm,
  parsePrivateKey,
  type PrivateKey,
  publicKeysEqual,
} from "../core/pki/keys.ts";
import type { SubjectFields } from "../core/pki/names.ts";
import type { AlternativeNames } from "../core/pki/subject_alternative_names.ts";
import type { Clock, Logger, Random, Transport } from "../core/ports.ts";
import type { CredentialTarget } from "./credential_target.ts";
import { buildCsr, type CertificateRequest, type SubmittedRequest } from "./csr_request.ts";
import type { FilePort } from "./files.ts";
import { obtainCertificate, type ObtainProgress, tryToObtainCertificate } from "./obtain_certificate.ts";
import { findPendingKey, keepPendingKey } from "./pending_key.ts";
import { observeServerTime } from "./server_time.ts";

/** What is asked for, and what it takes. */
export interface RequestCertificateOptions {
  readonly target: CredentialTarget;
  readonly signerName: string;
  readonly subject: SubjectFields;
  readonly names: AlternativeNames;
  /** Default: `defaultUsages`. */
  readonly usages?: readonly string[];
  /** Default: the signer's own. */
  readonly expirationSeconds?: number;
  /** Name of the CSR. Default: `createRequestName`, the same each time the same is asked for. */
  readonly csrName?: string;
  /** A kind of key to make, or a key that exists. */
  readonly key: KeyAlgorithm | PrivateKey;
  /** What to do about a certificate that exists. */
  readonly renewal: RenewalWish;
  /** 0 does not wait: what is not there yet is left pending. */
  readonly timeoutSeconds: number;
  readonly transport: Transport;
  readonly files: FilePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onProgress?: (event: RequestProgress) => void;
  /** Done between asking and waiting, such as an approval by whoever asks. */
  readonly afterSubmit?: (submitted: SubmittedRequest, signal: AbortSignal) => Promise<void>;
}

/** What happens on the way, for a person who watches. */
export type RequestProgress =
  /** Why what exists is not enough. */
  | { readonly kind: "needed"; readonly reason: string }
  | { readonly kind: "keyKept"; readonly path: string; readonly reused: boolean }
  | { readonly kind: "asking"; readonly usages: readonly string[] }
  | ObtainProgress;

/** How it ended; everything else is an error. */
export type RequestOutcome =
  /** There was a certificate that is good for long enough. */
  | { readonly kind: "kept"; readonly leaf: CertificateFacts }
  /** The request stands at the API, the key waits in `pendingKeyPath`. Once it is approved, the signer is missing. */
  | { readonly kind: "pending"; readonly submitted: SubmittedRequest; readonly isApproved: boolean }
  | { readonly kind: "issued"; readonly submitted: SubmittedRequest; readonly pair: CredentialPair };

/** What is sure to be refused; nothing was made and nobody was asked. */
export class RequestRefusedError extends AppError {
  readonly refusals: readonly string[];

  constructor(refusals: readonly string[]) {
    super("invalid", `cannot ask for that certificate: ${refusals.join("; ")}`);
    this.refusals = refusals;
  }
}

/**
 * Asks, unless what exists is enough. AppError: `file_exists` when something exists and nothing was said about replacing
 * it; RequestRefusedError; `key_invalid`, `io`; and what
 * `obtainCertificate` throws.
 */
export async function requestCertificate(
  options: RequestCertificateOptions,
  signal: AbortSignal,
): Promise<RequestOutcome> {
  const { target, files, clock, onProgress } = options;
  const existing = await target.existing();
  const keyKind = typeof options.key === "string" ? keyFamily(options.key) : options.key.algorithm;
  const usages = options.usages ?? defaultUsages(options.signerName, keyKind, options.names);
  await forgetFinishedKey(target, existing, files);
  const wantedKey = typeof options.key === "string" ? options.key : options.key.publicKeyDer();
  const asked = { subject: options.subject, ...options.names, usages, key: wantedKey };
  const verdict = decideRenewal(existing, asked, options.renewal, clock.now());
  if (verdict.kind === "keep" && existing.kind === "usable") return { kind: "kept", leaf: existing.leaf };
  if (verdict.kind === "exists") throw existsError(existing);
  if (existing.kind !== "none" && verdict.kind === "ask") onProgress?.({ kind: "needed", reason: verdict.reason });
  const pending = typeof options.key === "string"
    ? await findPendingKey(target.pendingKeyPath, options.key, files)
    : undefined;
  const key = pending ?? (typeof options.key === "string" ? await generatePrivateKey(options.key) : options.key);
  const request = checkedRequest(options, existing, key, usages);
  const kept = typeof options.key !== "string"
    ? key
    : pending ?? await keepPendingKey(target.pendingKeyPath, key, files);
  if (kept === key) return await ask(options, request, pending !== undefined, signal);
  // Somebody else began with the same target a moment ago: their request is taken up.
  return await ask(options, checkedRequest(options, existing, kept, usages), true, signal);
}

/** A run that ended just after it had stored the pair left the key where it waited. */
async function forgetFinishedKey(
  target: CredentialTarget,
  existing: ExistingCredentials,
  files: FilePort,
): Promise<void> {
  if (existing.kind !== "usable") return;
  const key = parsePrivateKey(await files.readText(target.pendingKeyPath) ?? "");
  if (!key.ok || !publicKeysEqual(key.value.publicKeyDer(), existing.leaf.publicKeyDer)) return;
  await files.unlink(target.pendingKeyPath);
}

/** Told before a key is made: whatever Kubernetes is known to refuse. */
function checkedRequest(
  options: RequestCertificateOptions,
  existing: ExistingCredentials,
  key: PrivateKey,
  usages: readonly string[],
): CertificateRequest {
  const { signerName, subject, names, expirationSeconds } = options;
  const life = expirationSeconds === undefined ? {} : { expirationSeconds };
  const unnamed = { key, subject, ...names, signerName, usages, ...life, isExact: true };
  const csr = buildCsr({ ...unnamed, name: { fixed: "" } });
  const refusals = findRefusals(csr);
  if (refusals.length > 0) throw new RequestRefusedError(refusals);
  const facts = parseRequest(csr.spec.request);
  if (!facts.ok) throw new RequestRefusedError([facts.error]);
  const name = options.csrName ?? createRequestName({
    title: subject.commonName ?? names.dnsNames[0] ?? names.uris[0] ?? "",
    signedDer: facts.value.signedDer,
    signerName,
    usages,
    ...life,
    ...(existing.kind === "usable" ? { replaces: existing.leaf.sha256Fingerprint } : {}),
  });
  return { ...unnamed, name: { fixed: name } };
}

async function ask(
  options: RequestCertificateOptions,
  request: CertificateRequest,
  isKeyReused: boolean,
  signal: AbortSignal,
): Promise<RequestOutcome> {
  const { target, clock, random, logger, timeoutSeconds, onProgress, afterSubmit } = options;
  if (typeof options.key === "string") {
    onProgress?.({ kind: "keyKept", path: target.pendingKeyPath, reused: isKeyReused });
  }
  onProgress?.({ kind: "asking", usages: request.usages });
  const obtain = {
    transport: observeServerTime(options.transport, clock),
    request,
    timeoutSeconds,
    clock,
    random,
    logger,
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(afterSubmit === undefined ? {} : { afterSubmit }),
  };
  const attempt = timeoutSeconds === 0 ? tryToObtainCertificate : obtainCertificate;
  const obtained = await attempt(obtain, signal).catch((error: unknown) => {
    throw withOwnHint(error);
  });
  const { submitted, pair } = obtained;
  if (pair === undefined) return { kind: "pending", submitted, isApproved: obtained.isApproved };
  await target.update(pair);
  await options.files.unlink(target.pendingKeyPath);
  return { kind: "issued", submitted, pair };
}

/** The hints underneath speak to machines that bootstrap. */
function withOwnHint(error: unknown): unknown {
  if (!(error instanceof AppError) || (error.code !== "unauthorized" && error.code !== "access_denied")) return error;
  return new AppError(error.code, error.message, {
    cause: error,
    retryable: error.retryable,
    hint: error.code === "unauthorized"
      ? "the credentials in the kubeconfig are wrong or have expired; name another with --kubeconfig"
      : "let the user create, get, list and watch certificatesigningrequests, or name another with --kubeconfig",
  });
}

function existsError(existing: ExistingCredentials): AppError {
  const what = existing.kind === "unusable" ? existing.reason : "there is a certificate already";
  return new AppError("file_exists", `cannot ask for a certificate: ${what}`, {
    hint: "renew it in time with --renew-before, or replace it with --force",
  });
}

function keyFamily(algorithm: KeyAlgorithm): "ECDSA" | "RSA" | "Ed25519" {
  if (algorithm === "ed25519") return "Ed25519";
  return algorithm.startsWith("rsa") ? "RSA" : "ECDSA";
}
