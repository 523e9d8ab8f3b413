/**
 * Renews a certificate in time (client-go `util/certificate/certificate_manager.go`): it sleeps until 70–90 % of the
 * lifetime, requests a certificate with a new key, stores it, and starts over. `core/machine/renewal_schedule.ts` has
 * the schedule.
 */
import { type CredentialPair, parseCertificateChain } from "../core/machine/credential_pair.ts";
import {
  applyFailure,
  applyRenewal,
  applyRetirement,
  applyTemplateChange,
  BACKOFF_LIMIT,
  type CaRetirement,
  type CertificateTemplate,
  decideNextStep,
  decideRenewalDeadline,
  type RenewalState,
  type RenewalStep,
  startRenewal,
  toRenewableCertificate,
} from "../core/machine/renewal_schedule.ts";
import { AppError, isAppError } from "../core/errors.ts";
import { formatTime } from "../core/kube/meta.ts";
import { StatusError } from "../core/kube/status/status.ts";
import { Secret } from "../core/lib/brand.ts";
import {
  generatePrivateKey,
  type KeyAlgorithm,
  type PrivateKey,
  type PrivateKeyAlgorithm,
} from "../core/pki/keys/keys.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import type { CredentialStore } from "./certificate/credential_store.ts";
import { obtainCertificate, type ObtainProgress } from "./certificate/obtain_certificate.ts";
import { createFixedSource, type Holder, keepFresh, type Source } from "./keep_fresh.ts";
import type { TlsTransport } from "./transport/tls_transport.ts";

/** The certificate to renew, its store, and the adapters. */
export interface CertificateManagerOptions {
  /** A client certificate also authenticates its renewal, so without a usable one the manager ends, as kubelet does. */
  readonly purpose: "client" | "serving";
  readonly store: CredentialStore;
  readonly template: TemplateSource;
  /** The CAs that are being replaced, whose certificates are renewed early; `followNodeTrust` sets them. */
  readonly retirement?: Source<CaRetirement | undefined>;
  /** Requests a certificate for a key and returns it as PEM; `createCertificateRequester` creates this function. */
  readonly requestCertificate: RequestCertificate;
  /**
   * Chooses the key of a request without a valid certificate. Default: a new key. An expired certificate may
   * authenticate such a request, and the server binds it to the first key, so the key must survive a restart.
   */
  readonly keepKey?: () => Promise<PrivateKey>;
  /** The algorithm of new keys. Default: ECDSA P-256, as in kubelet. */
  readonly keyAlgorithm?: KeyAlgorithm | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Receives each stored pair and the one that it replaced. An AppError is logged; any other error ends the manager. */
  readonly onRenewed?: (pair: CredentialPair, previous: CredentialPair | undefined) => void | Promise<void>;
}

/** One request, authenticated by the current certificate or by the bootstrap credentials. */
export type RequestCertificate = (
  key: PrivateKey,
  template: CertificateTemplate,
  credentials: "current" | "bootstrap",
  signal: AbortSignal,
) => Promise<string>;

/**
 * kubelet exits after this time without a usable certificate while the server answers
 * (`pkg/kubelet/certificate/transport.go`).
 */
const EXIT_AFTER_MS = 5 * 60_000;

/**
 * Runs until the signal fires, then rejects with its reason. For a client certificate it also ends with AppError
 * `credentials_missing` when the certificate has expired and there are no bootstrap credentials, with `unauthorized`
 * when there was no valid certificate for five minutes while the server answered, and with `pki_invalid` for a corrupt
 * store.
 */
export async function runCertificateManager(options: CertificateManagerOptions, signal: AbortSignal): Promise<never> {
  const { clock, random, template, retirement = createFixedSource(undefined) } = options;
  let current = await findCurrent(options);
  let state = startRenewal(current && toRenewableCertificate(current.leaf), template.current(), clock.now());
  const renewer = createRenewer(options);
  const health = createHealth(clock);
  return await keepFresh({
    clock,
    changed: () => AbortSignal.any([template.changed(), retirement.changed()]),
    async step(signal) {
      const change = template.changed();
      if (template.current() !== state.template) state = applyTemplateChange(state, template.current());
      if (retirement.current() !== state.retirement) state = applyRetirement(state, retirement.current());
      const next = decideNextStep(state, clock.now(), () => random.float());
      state = next.state;
      if (next.kind !== "request") return next;
      const pair = await renewer.renew(next, AbortSignal.any([signal, change])).catch((error: unknown) => {
        // The template changed, so the failed request was for the previous one.
        if (!change.aborted) throw error;
      });
      if (pair === undefined) return AT_ONCE;
      state = applyRenewal(state, toRenewableCertificate(pair.leaf), clock.now());
      health.observe(undefined, state);
      const previous = current;
      current = pair;
      await reportRenewal(options, pair, previous);
      return AT_ONCE;
    },
    onFailure(error) {
      state = fail(options, state, error);
      if (options.purpose === "serving") return AT_ONCE;
      if (error.code === "credentials_missing") throw error;
      if (health.observe(error, state) === "lost") throw createExitError(error);
      return AT_ONCE;
    },
  }, signal);
}

/** Reports a renewed pair. It is stored already, so a failure here does not fail the renewal. */
async function reportRenewal(
  { onRenewed, purpose, logger }: CertificateManagerOptions,
  pair: CredentialPair,
  previous: CredentialPair | undefined,
): Promise<void> {
  try {
    await onRenewed?.(pair, previous);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const { code, message } = error;
    logger.error("the certificate is renewed, but a later step failed", { purpose, code, error: message });
  }
}

const AT_ONCE = { kind: "pause", ms: 0 } as const;

/** Renews a valid certificate now: requests one with a new key, authenticated by the current one, and stores it. */
export async function renewCertificate(
  options: Omit<CertificateManagerOptions, "template"> & { readonly template: CertificateTemplate },
  signal: AbortSignal,
): Promise<CredentialPair> {
  const renewer = createRenewer({ ...options, template: createFixedSource(options.template) });
  return await renewer.renew({ credentials: "current", template: options.template }, signal);
}

/**
 * Reads the current pair. A corrupt serving pair is replaced; kubelet exits instead, until someone removes the file.
 */
async function findCurrent({ store, purpose, logger }: CertificateManagerOptions): Promise<CredentialPair | undefined> {
  try {
    return await store.current();
  } catch (error) {
    if (purpose === "client" || !isAppError(error, "pki_invalid")) throw error;
    logger.warn("the serving certificate cannot be read, requesting a new one", { error: error.message });
    return undefined;
  }
}

interface Renewer {
  renew(
    step: Pick<RenewalStep & { readonly kind: "request" }, "credentials" | "template">,
    signal: AbortSignal,
  ): Promise<CredentialPair>;
}

/** A certificate that was issued but is not stored yet. */
interface Unstored {
  readonly template: CertificateTemplate;
  readonly certificatePem: string;
  readonly key: PrivateKey;
  /** The time from which a new request replaces it. */
  readonly staleFrom: Date;
}

/**
 * Requests and stores certificates. If storing fails, the next attempt stores the same certificate without a new
 * request.
 */
function createRenewer(options: CertificateManagerOptions): Renewer {
  const { purpose, store, logger, clock } = options;
  let unstored: Unstored | undefined;
  return {
    async renew({ credentials, template }, signal) {
      if (unstored?.template !== template || unstored.staleFrom <= clock.now()) {
        logger.info("requesting a new certificate", { purpose, credentials });
        unstored = await request(options, template, credentials, signal);
      }
      const { certificatePem, key } = unstored;
      const pair = await store.update(certificatePem, new Secret(key.toPem())).catch((error: unknown) => {
        // Only a disk failure may be temporary. After any other failure the certificate is useless.
        if (!isAppError(error, "io")) unstored = undefined;
        throw error;
      });
      unstored = undefined;
      logger.info("certificate renewed", {
        purpose,
        path: store.currentPath,
        fingerprint: pair.leaf.sha256Fingerprint,
        notAfter: formatTime(pair.leaf.notAfter),
      });
      return pair;
    },
  };
}

async function request(
  { requestCertificate, keepKey, keyAlgorithm = "ecdsa-p256", clock }: CertificateManagerOptions,
  template: CertificateTemplate,
  credentials: "current" | "bootstrap",
  signal: AbortSignal,
): Promise<Unstored> {
  const key = credentials === "bootstrap" && keepKey !== undefined
    ? await keepKey()
    : await generatePrivateKey(keyAlgorithm);
  const certificatePem = await requestCertificate(key, template, credentials, signal);
  const chain = parseCertificateChain(certificatePem);
  const leaf = chain.ok ? chain.value[0] : undefined;
  // Computed from the remaining lifetime, because certificates are backdated.
  const notBefore = clock.now();
  const staleFrom = leaf === undefined
    ? notBefore
    : decideRenewalDeadline({ notBefore, notAfter: leaf.notAfter }, () => 0);
  return { template, certificatePem, key, staleFrom };
}

/** Decides when kubelet would exit: "lost" after five minutes without a usable certificate while the server answers. */
function createHealth(
  clock: Clock,
): { observe(error: AppError | undefined, state: RenewalState): "lost" | undefined } {
  let isHealthy = false;
  let unusableSince: number | undefined;
  return {
    observe(error, { certificate }) {
      isHealthy = error === undefined ? true : isServerHealthy(error) ?? isHealthy;
      const now = clock.elapsedMs();
      const isUsable = certificate !== undefined && certificate.notAfter >= clock.now();
      unusableSince = isUsable ? undefined : unusableSince ?? now;
      const unusableMs = unusableSince === undefined ? 0 : now - unusableSince;
      return isHealthy && unusableMs >= EXIT_AFTER_MS ? "lost" : undefined;
    },
  };
}

function fail(options: CertificateManagerOptions, state: RenewalState, error: AppError): RenewalState {
  const { purpose, logger, clock, random } = options;
  const next = applyFailure(state, clock.now(), () => random.float());
  logger.warn("cannot renew the certificate", {
    purpose,
    code: error.code,
    error: error.message,
    tries: next.failures,
    nextTry: next.notUntil === undefined ? undefined : formatTime(next.notUntil),
  });
  if (next.failures === BACKOFF_LIMIT) {
    logger.error("Reached backoff limit, still unable to rotate certs", { purpose, tries: next.failures });
  }
  return next;
}

/**
 * Infers from a failed request whether the server is healthy, as client-go does (`updateServerError`); undefined when
 * the error allows no conclusion.
 */
export function isServerHealthy(error: AppError): boolean | undefined {
  switch (error.code) {
    case "csr_denied":
    case "csr_failed":
    case "csr_deleted":
    case "timeout":
    case "io":
      return undefined;
    case "unauthorized":
    case "token_invalid":
      return true;
    case "not_found":
    case "access_denied":
      return !isProxyPage(error);
    default:
      return false;
  }
}

/** Reports whether the body was not a Status, so that a proxy may have answered. */
function isProxyPage(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const causes = cause instanceof StatusError ? cause.status.details?.causes ?? [] : [];
    if (causes.some(({ reason }) => reason === "UnexpectedServerResponse")) return true;
  }
  return false;
}

function createExitError(cause: AppError): AppError {
  return new AppError(
    "unauthorized",
    "No valid client certificate is found and the server is responsive, exiting.",
    {
      cause,
      hint: cause.hint ??
        "make a token with: tlsboot token create, put it into the bootstrap kubeconfig, and start again",
    },
  );
}

/** The signer, the usages and the connection of a renewal. */
export interface CertificateRequesterOptions {
  readonly signerName: string;
  /** Returns the usages for a key algorithm, in the order in which they are sent. */
  readonly usages: (keyAlgorithm: PrivateKeyAlgorithm) => readonly string[];
  /** The requested lifetime; the signer chooses when it is absent, as for kubelet. */
  readonly expirationSeconds?: number | undefined;
  /** Opens a new connection for each attempt, with the current certificate or the bootstrap credentials. */
  readonly connect: (
    credentials: "current" | "bootstrap",
    signal: AbortSignal,
    key: PrivateKey,
  ) => Promise<TlsTransport>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onProgress?: ((event: ObtainProgress) => void) | undefined;
}

/** How long to wait for a certificate, as client-go's `certificateWaitTimeout`. */
const WAIT_SECONDS = 15 * 60;

/**
 * Creates the `requestCertificate` of a certificate manager: a CSR with a generated name, and at most 15 minutes of
 * waiting (client-go `util/certificate/certificate_manager.go`, rotateCerts). The key is kept in memory only: after a
 * restart, another request costs nothing while the current certificate is valid.
 */
export function createCertificateRequester(options: CertificateRequesterOptions): RequestCertificate {
  const { signerName, expirationSeconds } = options;
  return async (key, template, credentials, signal) => {
    const { commonName, organizations, dnsNames, ipAddresses } = template;
    const { pair } = await obtainCertificate({
      ...options,
      keepKey: () => Promise.resolve({ key }),
      createRequest: () => ({
        key,
        subject: { commonName, organizations },
        dnsNames,
        ipAddresses,
        signerName,
        usages: options.usages(key.algorithm),
        expirationSeconds,
        name: { prefix: "csr-" },
      }),
      connect: () => options.connect(credentials, signal, key),
      timeoutSeconds: WAIT_SECONDS,
    }, signal);
    return pair.certificatePem;
  };
}

/** Provides the current template; undefined while nothing can be requested. */
export type TemplateSource = Source<CertificateTemplate | undefined>;

/** A source whose template can be replaced. */
export type TemplateHolder = Holder<CertificateTemplate | undefined>;
