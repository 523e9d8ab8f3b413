/**
 * Keeps a client certificate fresh (client-go `certificate_manager.go`; `kubelet-bootstrap.md` §7): sleeps until 70–90 %
 * of its life, asks with a new key, stores, and begins again. What to do when is decided by `core/bootstrap/rotation`.
 */
import type { CredentialPair } from "../core/bootstrap/credential_pair.ts";
import {
  afterFailure,
  afterRotation,
  BACKOFF_LIMIT,
  type CertificateTemplate,
  nextStep,
  type RotationCertificate,
  type RotationState,
  startRotation,
} from "../core/bootstrap/rotation.ts";
import { AppError } from "../core/errors.ts";
import { StatusError } from "../core/kube/status.ts";
import { generatePrivateKey, type PrivateKey } from "../core/pki/keys.ts";
import { Secret } from "../core/brand.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import type { CredentialStore } from "./credential_store.ts";

/** What rotation needs. */
export interface CertificateManagerOptions {
  readonly store: CredentialStore;
  readonly template: CertificateTemplate;
  /** Asks for a certificate for the key and waits for it; `createCertificateRequester` makes one. Answers PEM. */
  readonly requestCertificate: RequestCertificate;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Told of each new pair once it is stored. */
  readonly onRotated?: (pair: CredentialPair) => void;
}

/** One request, made as the present certificate's owner or with the bootstrap credentials. */
export type RequestCertificate = (
  key: PrivateKey,
  template: CertificateTemplate,
  credentials: "current" | "bootstrap",
  signal: AbortSignal,
) => Promise<string>;

/** kubelet gives up after so long without a usable certificate, if the server answers (`transport.go`). */
const EXIT_AFTER_MS = 5 * 60_000;

/**
 * Runs until the signal fires, rejecting with its reason. Ends by itself with AppError `unauthorized` only where kubelet
 * exits: no valid certificate for five minutes while the server answers. A corrupt store is AppError `pki_invalid`.
 */
export async function runCertificateManager(options: CertificateManagerOptions, signal: AbortSignal): Promise<never> {
  const { store, clock, random } = options;
  const current = await store.current();
  let state = startRotation(current && rotationCertificateOf(current), options.template, clock.now());
  let lastUsable = clock.now();
  let isHealthy = false;
  while (true) {
    signal.throwIfAborted();
    const step = nextStep(state, clock.now(), () => random.float());
    state = step.state;
    if (step.kind === "sleep") {
      await clock.sleepUntil(step.until, signal);
      continue;
    }
    if (step.credentials === "current") lastUsable = clock.now();
    try {
      state = afterRotation(state, await rotate(options, step.credentials, signal), clock.now());
      isHealthy = true;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      state = fail(options, state, error);
      isHealthy = isServerHealthy(error) ?? isHealthy;
      if (isHealthy && !isUsable(state, clock) && clock.now().getTime() - lastUsable.getTime() >= EXIT_AFTER_MS) {
        throw exitError(error);
      }
    }
  }
}

async function rotate(
  options: CertificateManagerOptions,
  credentials: "current" | "bootstrap",
  signal: AbortSignal,
): Promise<RotationCertificate> {
  const key = await generatePrivateKey("ecdsa-p256");
  options.logger.info("asking for a new certificate", { credentials });
  const certificatePem = await options.requestCertificate(key, options.template, credentials, signal);
  const pair = await options.store.update(certificatePem, new Secret(key.toPem()));
  options.logger.info("certificate rotated", {
    path: options.store.currentPath,
    fingerprint: pair.leaf.sha256Fingerprint,
    notAfter: pair.leaf.notAfter.toISOString(),
  });
  options.onRotated?.(pair);
  return rotationCertificateOf(pair);
}

function fail(options: CertificateManagerOptions, state: RotationState, error: AppError): RotationState {
  const next = afterFailure(state, options.clock.now(), () => options.random.float());
  options.logger.warn("cannot rotate the certificate", {
    code: error.code,
    error: error.message,
    tries: next.failures,
    nextTry: next.notUntil?.toISOString(),
  });
  if (next.failures === BACKOFF_LIMIT) {
    options.logger.error("Reached backoff limit, still unable to rotate certs", { tries: next.failures });
  }
  return next;
}

function isUsable(state: RotationState, clock: Clock): boolean {
  return state.certificate !== undefined && state.certificate.notAfter >= clock.now();
}

/** What a failed request says of the server (`kubelet-bootstrap.md` §7.5); undefined when it says nothing. */
export function isServerHealthy(error: AppError): boolean | undefined {
  switch (error.code) {
    case "csr_denied":
    case "csr_failed":
    case "csr_deleted":
    case "timeout":
      return undefined;
    case "unauthorized":
      return true;
    case "not_found":
    case "access_denied":
      return !isProxyPage(error);
    default:
      return false;
  }
}

/** The body was no Status, so something in between may have answered. */
function isProxyPage(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const causes = cause instanceof StatusError ? cause.status.details?.causes ?? [] : [];
    if (causes.some(({ reason }) => reason === "UnexpectedServerResponse")) return true;
  }
  return false;
}

function exitError(cause: AppError): AppError {
  return new AppError(
    "unauthorized",
    "No valid client certificate is found and the server is responsive, exiting.",
    { cause, hint: "renew the bootstrap kubeconfig with: tlsboot token create, then start again" },
  );
}

function rotationCertificateOf(pair: CredentialPair): RotationCertificate {
  const { notBefore, notAfter, subject, dnsNames, ipAddresses } = pair.leaf;
  const { commonName, organizations } = subject;
  return { notBefore, notAfter, commonName, organizations, dnsNames, ipAddresses };
}
