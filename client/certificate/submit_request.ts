/** Submits a certificate request: creates the CSR, or adopts an earlier one with the same name. */
import { checkAdoptable } from "../../core/machine/adoption.ts";
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind as kind } from "../../core/kube/kinds/mod.ts";
import { formatApiVersion } from "../../core/kube/schema.ts";
import type { PrivateKey } from "../../core/pki/keys/keys.ts";
import type { SubjectFields } from "../../core/pki/x509/names.ts";
import { encodeBase64 } from "../../core/lib/base64.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { createCertificationRequest } from "../../core/pki/x509/pkcs10.ts";
import type { Clock, CsrStore } from "../../core/ports.ts";
import { shellWord } from "../../core/lib/shell_word.ts";

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
  /** Adopt only a CSR with the same names, usages and lifetime. Without it, check as little as client-go does. */
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
    apiVersion: formatApiVersion(kind),
    kind: kind.kind,
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
export function explainFailure(error: unknown, doing: string): unknown {
  if (!(error instanceof AppError)) return error;
  const isLimited = error.code === "access_denied" && isTokenRefusal(error.message);
  const hint = error.hint ?? (isLimited ? TOKEN_HINT : HINTS[error.code]);
  return new AppError(error.code, `${doing}: ${getErrorMessage(error)}`, {
    cause: error,
    retryable: error.retryable,
    hint,
  });
}

/** Shortens the answer to an invalid request, which quotes it whole, and adds the next step for a key of ML-DSA. */
function explainInvalid(error: unknown, { spec: { request } }: CertificateSigningRequest): unknown {
  if (!isAppError(error, "invalid") || request === null) return error;
  const message = error.message.replaceAll(request, `${request.slice(0, 16)}…`);
  // Every other algorithm of a key here is known to each API.
  const hint = message.endsWith(": algorithm unimplemented") ? ML_DSA_HINT : error.hint;
  return new AppError(error.code, message, { cause: error, hint });
}

const ML_DSA_HINT = "this API refuses keys of ML-DSA; tlsboot accepts them when it is started with " +
  "--feature-gates=MLDSA=true; for another key, remove the kept one and choose another algorithm";

/** Reports whether the limits of a bootstrap token refused a request (`core/token/bound_token.ts`). */
function isTokenRefusal(message: string): boolean {
  const [, reason = ""] = message.split(" is forbidden: ", 2);
  return /\bthe token\b/.test(reason);
}

const TOKEN_HINT = "the token was made for another machine or has been used; make one for this machine with: " +
  "tlsboot token create --node NAME";

const HINTS: Readonly<Partial<Record<AppError["code"], string>>> = {
  unauthorized: "the token is wrong, has expired or is used up; make another with: tlsboot token create",
  access_denied: "bind the user's group to the cluster role system:node-bootstrapper",
  not_found: "check that the server is a Kubernetes API with certificates.k8s.io/v1",
};
