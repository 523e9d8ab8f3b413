/**
 * Keeps a certificate fresh (client-go `certificate_manager.go`; `kubelet-bootstrap.md` §7): sleeps until 70–90 % of its
 * life, asks with a new key, stores, and begins again. What to do when is decided by `core/bootstrap/rotation`.
 */
import { type CredentialPair, parseCertificateChain } from "../core/bootstrap/credential_pair.ts";
import {
  afterFailure,
  afterRotation,
  afterTemplateChange,
  BACKOFF_LIMIT,
  type CertificateTemplate,
  nextStep,
  rotationDeadline,
  type RotationState,
  type RotationStep,
  startRotation,
} from "../core/bootstrap/rotation.ts";
import { Secret } from "../core/lib/brand.ts";
import { AppError, isAppError } from "../core/errors.ts";
import { formatTime } from "../core/kube/meta.ts";
import { StatusError } from "../core/kube/status.ts";
import { generatePrivateKey, type PrivateKey } from "../core/pki/keys.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import type { CredentialStore } from "./credential_store.ts";
import { toRotationCertificate } from "./rotation_certificate.ts";
import type { TemplateSource } from "./template_source.ts";

/** What rotation needs. */
export interface CertificateManagerOptions {
  /** A client certificate is also what the machine asks with: without one it comes to an end, as kubelet does. */
  readonly purpose: "client" | "serving";
  readonly store: CredentialStore;
  readonly template: TemplateSource;
  /** Asks for a certificate for the key and waits for it; `createCertificateRequester` makes one. Answers PEM. */
  readonly requestCertificate: RequestCertificate;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Told of each new pair once it is stored, and of the one that it replaced; what it throws ends the manager. */
  readonly onRotated?: (pair: CredentialPair, previous: CredentialPair | undefined) => void | Promise<void>;
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
 * Runs until the signal fires, rejecting with its reason. A client's ends by itself with AppError `credentials_missing`
 * when its certificate is over and there is nothing to ask with, and with `unauthorized` where kubelet exits: no valid
 * certificate for five minutes while the server answers. A corrupt store of a client is AppError `pki_invalid`.
 */
export async function runCertificateManager(options: CertificateManagerOptions, signal: AbortSignal): Promise<never> {
  const { clock, random, template } = options;
  let current = await findCurrent(options);
  let state = startRotation(current && toRotationCertificate(current), template.current(), clock.now());
  const rotation = createRotation(options);
  const health = createHealth(clock);
  while (true) {
    const change = template.changed();
    if (template.current() !== state.template) state = afterTemplateChange(state, template.current());
    const either = AbortSignal.any([signal, change]);
    const step = nextStep(state, clock.now(), () => random.float());
    state = step.state;
    let pair: CredentialPair;
    try {
      if (step.kind === "sleep") {
        await clock.sleepUntil(step.until, either);
        continue;
      }
      if (step.kind === "pause") {
        await clock.sleep(step.ms, either);
        continue;
      }
      pair = step.kind === "idle" ? await fired(either) : await rotation.rotate(step, either);
    } catch (error) {
      signal.throwIfAborted();
      if (change.aborted) continue; // another template: what was under way is for the old one
      if (!(error instanceof AppError)) throw error;
      state = fail(options, state, error);
      if (options.purpose === "serving") continue;
      if (error.code === "credentials_missing") throw error;
      if (health.observe(error, state) === "lost") throw exitError(error);
      continue;
    }
    state = afterRotation(state, toRotationCertificate(pair), clock.now());
    health.observe(undefined, state);
    const previous = current;
    current = pair;
    await options.onRotated?.(pair, previous);
  }
}

/** A serving pair that is broken has nothing to lose by another one; kubelet ends there, and somebody has to remove it. */
async function findCurrent({ store, purpose, logger }: CertificateManagerOptions): Promise<CredentialPair | undefined> {
  try {
    return await store.current();
  } catch (error) {
    if (purpose === "client" || !isAppError(error, "pki_invalid")) throw error;
    logger.warn("the serving certificate cannot be read, asking for another one", { error: error.message });
    return undefined;
  }
}

interface Rotation {
  rotate(step: RotationStep & { readonly kind: "request" }, signal: AbortSignal): Promise<CredentialPair>;
}

/** A certificate that was issued and is not on disk yet. */
interface Unstored {
  readonly template: CertificateTemplate;
  readonly certificatePem: string;
  readonly key: PrivateKey;
  /** From then on it is better to ask again. */
  readonly staleFrom: Date;
}

/** Asks and stores. What was issued and could not be stored is stored by the next try, without asking again. */
function createRotation(options: CertificateManagerOptions): Rotation {
  const { purpose, store, logger, clock } = options;
  let unstored: Unstored | undefined;
  return {
    async rotate({ credentials, template }, signal) {
      if (unstored?.template !== template || unstored.staleFrom <= clock.now()) {
        logger.info("asking for a new certificate", { purpose, credentials });
        unstored = await ask(options, template, credentials, signal);
      }
      const { certificatePem, key } = unstored;
      const pair = await store.update(certificatePem, new Secret(key.toPem())).catch((error: unknown) => {
        // Only a disk may come to take it after all.
        if (!isAppError(error, "io")) unstored = undefined;
        throw error;
      });
      unstored = undefined;
      logger.info("certificate rotated", {
        purpose,
        path: store.currentPath,
        fingerprint: pair.leaf.sha256Fingerprint,
        notAfter: formatTime(pair.leaf.notAfter),
      });
      return pair;
    },
  };
}

async function ask(
  { requestCertificate, clock }: CertificateManagerOptions,
  template: CertificateTemplate,
  credentials: "current" | "bootstrap",
  signal: AbortSignal,
): Promise<Unstored> {
  const key = await generatePrivateKey("ecdsa-p256");
  const certificatePem = await requestCertificate(key, template, credentials, signal);
  const chain = parseCertificateChain(certificatePem);
  const leaf = chain.ok ? chain.value[0] : undefined;
  // Of the life that is left, because certificates are backdated.
  const notBefore = clock.now();
  const staleFrom = leaf === undefined ? notBefore : rotationDeadline({ notBefore, notAfter: leaf.notAfter }, () => 0);
  return { template, certificatePem, key, staleFrom };
}

/** kubelet's exit: "lost" once there was no usable certificate for five minutes while the server answers. */
function createHealth(
  clock: Clock,
): { observe(error: AppError | undefined, state: RotationState): "lost" | undefined } {
  let isHealthy = false;
  let withoutSince: number | undefined;
  return {
    observe(error, { certificate }) {
      isHealthy = error === undefined ? true : isServerHealthy(error) ?? isHealthy;
      const now = clock.elapsedMs();
      const isUsable = certificate !== undefined && certificate.notAfter >= clock.now();
      withoutSince = isUsable ? undefined : withoutSince ?? now;
      const lackMs = withoutSince === undefined ? 0 : now - withoutSince;
      return isHealthy && lackMs >= EXIT_AFTER_MS ? "lost" : undefined;
    },
  };
}

function fail(options: CertificateManagerOptions, state: RotationState, error: AppError): RotationState {
  const { purpose, logger, clock, random } = options;
  const next = afterFailure(state, clock.now(), () => random.float());
  logger.warn("cannot rotate the certificate", {
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

/** Rejects with the signal's reason once it fires. */
function fired(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** What a failed request says of the server (`kubelet-bootstrap.md` §7.5); undefined when it says nothing. */
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
    { cause, hint: "make a token with: tlsboot token create, put it into the bootstrap kubeconfig, and start again" },
  );
}
