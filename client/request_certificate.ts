/**
 * Obtains a certificate for any program from any signer: checks whether the existing one is sufficient, stores a key,
 * submits or adopts the request, waits, checks and stores the certificate. After an interruption, another run continues
 * where it stopped.
 */
import type { CredentialPair } from "../core/machine/credential_pair.ts";
import { defaultUsages } from "../core/pki/x509/usages.ts";
import { findRefusals } from "../core/signing/profile.ts";
import { decideRenewal, type ExistingCredentials, type RenewalOptions } from "../core/request/issued_certificate.ts";
import { parseRequest } from "../core/request/parse_request.ts";
import { createCsrName } from "../core/machine/adoption.ts";
import { getRenewalTime } from "../core/machine/renewal_schedule.ts";
import { AppError } from "../core/errors.ts";
import type { CertificateFacts } from "../core/pki/x509/certificate.ts";
import { getPrivateKeyAlgorithm, type KeyAlgorithm, type PrivateKey } from "../core/pki/keys/keys.ts";
import type { PublicKeyPin } from "../core/pki/keys/key_names.ts";
import type { SubjectFields } from "../core/pki/x509/names.ts";
import type { AlternativeNames } from "../core/pki/x509/subject_alternative_names.ts";
import type { Clock, Logger, Random, Transport } from "../core/ports.ts";
import type { FilePort } from "./files.ts";
import { buildCsr, type CertificateRequest, type SubmittedRequest } from "./certificate/submit_request.ts";
import { obtainCertificate, type ObtainProgress, tryToObtainCertificate } from "./certificate/obtain_certificate.ts";
import { forgetKey, forgetSpentKey, keepKey } from "./certificate/credential_store.ts";
import { exchangeOffline, type OfflineExchange } from "./certificate/offline_exchange.ts";
import type { CredentialTarget } from "./certificate/pair_folder.ts";

/** The requested certificate, its target, and the adapters. */
export interface RequestCertificateOptions {
  readonly target: CredentialTarget;
  readonly signerName: string;
  readonly subject: SubjectFields;
  readonly names: AlternativeNames;
  /** The requested usages. Default: `defaultUsages`. */
  readonly usages?: readonly string[] | undefined;
  /** The requested lifetime; the signer chooses when it is absent. */
  readonly expirationSeconds?: number | undefined;
  /** The name of the CSR. Default: the result of `createCsrName`, which is the same for equal requests. */
  readonly csrName?: string | undefined;
  /** The algorithm of a new key, or an existing key. */
  readonly key: KeyAlgorithm | PrivateKey;
  /** How to treat an existing certificate. */
  readonly renewal: RenewalOptions;
  /** How long to wait; with 0 a request without a certificate is returned as pending. */
  readonly timeoutSeconds: number;
  /** Whether to read the request by its name instead of watching it, for a user who may not list requests. */
  readonly isPolling?: boolean;
  readonly transport: Transport;
  readonly files: FilePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onProgress?: ((event: RequestProgress) => void) | undefined;
  /** Runs between submitting and waiting; for example it approves the request. */
  readonly afterSubmit?: ((submitted: SubmittedRequest, signal: AbortSignal) => Promise<void>) | undefined;
}

/** A step of the request, for progress output. */
export type RequestProgress =
  /** The existing certificate is not sufficient, for `reason`. */
  | { readonly kind: "needed"; readonly reason: string }
  | { readonly kind: "keyKept"; readonly path: string; readonly reused: boolean }
  | { readonly kind: "asking"; readonly usages: readonly string[] }
  | ObtainProgress;

/** The result of the request; every failure is an error instead. */
export type RequestOutcome =
  /** The existing certificate is valid for long enough. */
  | { readonly kind: "kept"; readonly leaf: CertificateFacts }
  /** The request is in the API and its key in `pendingKeyPath`. An approved one waits for the signer. */
  | {
    readonly kind: "pending";
    readonly submitted: SubmittedRequest;
    readonly isApproved: boolean;
    readonly signerName: string;
    readonly pendingKeyPath: string;
  }
  | {
    readonly kind: "issued";
    readonly submitted: SubmittedRequest;
    readonly pair: CredentialPair;
    readonly leaf: CertificateFacts;
  };

/** The error for a request that would certainly be refused, so that no key was created and nothing was sent. */
export class RequestRefusedError extends AppError {
  readonly refusals: readonly string[];

  constructor(refusals: readonly string[]) {
    super("invalid", `cannot request that certificate: ${refusals.join("; ")}`);
    this.refusals = refusals;
  }
}

/**
 * Requests a certificate unless the existing one is sufficient. AppError: `file_exists` when there is one and `renewal`
 * does not allow replacing it; RequestRefusedError; `key_invalid`, `io`; and those of `obtainCertificate`.
 */
export async function requestCertificate(
  options: RequestCertificateOptions,
  signal: AbortSignal,
): Promise<RequestOutcome> {
  const planned = await planRequest(options);
  if (planned.kind === "kept") return planned;
  const attempt = options.timeoutSeconds === 0 ? tryToObtainCertificate : obtainCertificate;
  const { submitted, ...obtained } = await attempt({
    ...options,
    ...planned.steps,
    connect: () => Promise.resolve(borrow(options.transport)),
  }, signal).catch((error: unknown) => {
    throw withUserHint(error);
  });
  const { signerName, target: { pendingKeyPath } } = options;
  return obtained.pair === undefined
    ? { kind: "pending", submitted, isApproved: obtained.isApproved, signerName, pendingKeyPath }
    : { kind: "issued", submitted, pair: obtained.pair, leaf: obtained.pair.leaf };
}

/** The stick, and the CAs that an answer must come from. */
interface OfflineRequestOptions extends PlanOptions {
  /** The absolute path of the stick. */
  readonly folder: string;
  /** The pins of the site's CAs; empty when they are not known. */
  readonly site: readonly PublicKeyPin[];
}

/** The result of a request on a stick; every failure is an error instead. */
type OfflineRequestOutcome = OfflineExchange | RequestOutcome & { readonly kind: "kept" };

/**
 * Requests a certificate with a stick that is carried to the CA: the first run writes the request, a later run reads
 * the answer. Throws as `requestCertificate` does before it sends anything, and as `exchangeOffline`.
 */
export async function requestOffline(options: OfflineRequestOptions): Promise<OfflineRequestOutcome> {
  const renewal = withDefaultRenewal(options.renewal, await options.target.existing());
  const planned = await planRequest({ ...options, renewal });
  if (planned.kind === "kept") return planned;
  const stored = planned.existing.kind === "usable" ? planned.existing.leaf : undefined;
  return await exchangeOffline({
    ...options,
    ...planned.steps,
    name: createFileName(options),
    requester: undefined,
    stored,
  });
}

/** Creates the name of the files on the stick. It is the same for the next key, so that a renewal replaces them. */
function createFileName({ csrName, subject, names, signerName }: OfflineRequestOptions): string {
  if (csrName !== undefined) return csrName;
  const signedDer = new TextEncoder().encode(JSON.stringify([subject, names]));
  return createCsrName({ title: createTitle(subject, names), signedDer, signerName, usages: [] });
}

function createTitle(subject: SubjectFields, names: AlternativeNames): string {
  return subject.commonName ?? names.dnsNames[0] ?? names.uris[0] ?? "";
}

/**
 * Replaces a missing or too long `renewBeforeMs` with the default time of a renewal, so that repeated runs keep a new
 * certificate.
 */
function withDefaultRenewal(renewal: RenewalOptions, existing: ExistingCredentials): RenewalOptions {
  if (renewal.isForced || existing.kind !== "usable") return renewal;
  const from = getRenewalTime(existing.leaf, renewal.renewBeforeMs);
  return { ...renewal, renewBeforeMs: existing.leaf.notAfter.getTime() - from.getTime() };
}

/** The requested certificate and its target, without the connection to the signer. */
type PlanOptions = Omit<
  RequestCertificateOptions,
  "timeoutSeconds" | "transport" | "afterSubmit" | "random" | "logger"
>;

/** The steps of a request that do not depend on the connection to the signer. */
interface RequestSteps {
  readonly keepKey: () => Promise<{ readonly key: PrivateKey; readonly path?: string }>;
  readonly createRequest: (key: PrivateKey) => CertificateRequest;
  readonly store: (pair: CredentialPair) => Promise<void>;
}

/** Decides whether to request a certificate, and how. AppError `file_exists`, `io`. */
async function planRequest(
  options: PlanOptions,
): Promise<
  | (RequestOutcome & { readonly kind: "kept" })
  | { readonly kind: "request"; readonly existing: ExistingCredentials; readonly steps: RequestSteps }
> {
  const { target, files, clock, onProgress } = options;
  const existing = await target.existing();
  const stored = existing.kind === "usable" ? existing.leaf : undefined;
  await forgetSpentKey({ path: target.pendingKeyPath, files, stored });
  const keyAlgorithm = typeof options.key === "string" ? getPrivateKeyAlgorithm(options.key) : options.key.algorithm;
  const usages = options.usages ?? defaultUsages(options.signerName, keyAlgorithm, options.names);
  const wantedKey = typeof options.key === "string" ? options.key : options.key.publicKeyDer();
  const wanted = { subject: options.subject, ...options.names, usages, key: wantedKey };
  const { renewal } = options;
  const isInTime = renewal.renewBeforeMs !== undefined;
  const verdict = decideRenewal(
    existing,
    wanted,
    isInTime ? withDefaultRenewal(renewal, existing) : renewal,
    clock.now(),
  );
  if (verdict.kind === "keep" && existing.kind === "usable") return { kind: "kept", leaf: existing.leaf };
  if (verdict.kind === "exists") throw createExistsError(existing);
  if (existing.kind !== "none" && verdict.kind === "request") onProgress?.({ kind: "needed", reason: verdict.reason });
  const createRequest = (key: PrivateKey) => createCheckedRequest(options, existing, key, usages);
  return {
    kind: "request",
    existing,
    steps: {
      async keepKey() {
        const kept = await keepCheckedKey(options, createRequest);
        onProgress?.({ kind: "asking", usages });
        return kept;
      },
      createRequest,
      async store(pair) {
        await target.update(pair);
        await forgetKey(target.pendingKeyPath, files);
      },
    },
  };
}

/**
 * Keeps a key next to the target. A key passed in by the caller is not stored. RequestRefusedError when Kubernetes is
 * known to refuse the request.
 */
async function keepCheckedKey(
  { key: wanted, target, files, onProgress }: PlanOptions,
  createRequest: (key: PrivateKey) => CertificateRequest,
): Promise<{ readonly key: PrivateKey; readonly path?: string }> {
  const check = (key: PrivateKey): void => void createRequest(key);
  if (typeof wanted !== "string") {
    check(wanted);
    return { key: wanted };
  }
  const { key, path, isReused } = await keepKey({ path: target.pendingKeyPath, files, algorithm: wanted, check });
  onProgress?.({ kind: "keyKept", path, reused: isReused });
  return { key, path };
}

/** Returns the transport as a connection that its owner closes. */
function borrow(transport: Transport): Transport & AsyncDisposable {
  return {
    send: (request, signal) => transport.send(request, signal),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Creates the request. RequestRefusedError when Kubernetes is known to refuse it. */
function createCheckedRequest(
  options: PlanOptions,
  existing: ExistingCredentials,
  key: PrivateKey,
  usages: readonly string[],
): CertificateRequest {
  const { signerName, subject, names, expirationSeconds } = options;
  const unnamed = { key, subject, ...names, signerName, usages, expirationSeconds, isExact: true };
  const csr = buildCsr({ ...unnamed, name: { fixed: "" } });
  const refusals = findRefusals(csr, { allowMlDsa: true });
  if (refusals.length > 0) throw new RequestRefusedError(refusals);
  const facts = parseRequest(csr.spec.request);
  if (!facts.ok) throw new RequestRefusedError([facts.error]);
  const name = options.csrName ?? createCsrName({
    title: createTitle(subject, names),
    signedDer: facts.value.signedDer,
    signerName,
    usages,
    expirationSeconds,
    replaces: existing.kind === "usable" ? existing.leaf.sha256Fingerprint : undefined,
  });
  return { ...unnamed, name: { fixed: name } };
}

/** Replaces the hints for bootstrapping machines with hints for a user with a kubeconfig. */
function withUserHint(error: unknown): unknown {
  if (!(error instanceof AppError) || (error.code !== "unauthorized" && error.code !== "access_denied")) return error;
  return new AppError(error.code, error.message, {
    cause: error,
    retryable: error.retryable,
    hint: error.code === "unauthorized"
      ? "the credentials in the kubeconfig are wrong or have expired; name another with the setting kubeconfig"
      : "let the user create, get, list and watch certificatesigningrequests, or name another with the setting kubeconfig",
  });
}

function createExistsError(existing: ExistingCredentials): AppError {
  const what = existing.kind === "unusable" ? existing.reason : "there is a certificate already";
  return new AppError("file_exists", `cannot request a certificate: ${what}`, {
    hint: "renew it in time with the setting renewBefore, or replace it with the setting force",
  });
}
