/** Asks for a certificate: builds the request, creates the CSR, and adopts an earlier one of ours. */
import { checkCompatible } from "../core/bootstrap/compatible.ts";
import { checkSame } from "../core/csr/same_request.ts";
import { AppError, isAppError, messageOf } from "../core/errors.ts";
import type { CertificateSigningRequest } from "../core/kube/certificates_v1.ts";
import { certificateSigningRequestKind as kind } from "../core/kube/kinds/mod.ts";
import { formatApiVersion } from "../core/kube/schema.ts";
import type { PrivateKey } from "../core/pki/keys.ts";
import type { SubjectFields } from "../core/pki/names.ts";
import { encodeBase64, encodePem } from "../core/pki/pem.ts";
import { createCertificationRequest } from "../core/pki/pkcs10.ts";
import type { Clock, CsrStore } from "../core/ports.ts";
import { ok, type Result } from "../core/lib/result.ts";
import { shellWord } from "../core/lib/shell_word.ts";

/** What is asked for. */
export interface CertificateRequest {
  readonly key: PrivateKey;
  readonly subject: SubjectFields;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly emailAddresses?: readonly string[];
  readonly uris?: readonly string[];
  readonly signerName: string;
  /** In the order sent. */
  readonly usages: readonly string[];
  readonly expirationSeconds?: number;
  /** A fixed name can be adopted after a restart; a prefix makes the server choose. */
  readonly name: { readonly fixed: string } | { readonly prefix: string };
  /** Adopt only what asks for the very same names, usages and life; without it as client-go, which looks at less. */
  readonly isExact?: boolean;
}

/** A CSR that stands at the API, new or adopted. */
export interface SubmittedRequest {
  readonly name: string;
  readonly uid: string;
  readonly adopted: boolean;
}

/**
 * Creates the CSR. When the fixed name is taken, the one there is adopted if it is ours (client-go
 * `RequestCertificate`): AppError `csr_incompatible` otherwise. Other failures keep the API's code.
 */
export async function submitRequest(
  store: CsrStore,
  request: CertificateRequest,
  clock: Clock,
  signal: AbortSignal,
): Promise<SubmittedRequest> {
  const requestPem = encodeRequestPem(request);
  try {
    return submitted(await store.create(buildCsr(request, requestPem), signal), false);
  } catch (error) {
    if (!isAppError(error, "already_exists") || !("fixed" in request.name)) {
      throw explain(error, "cannot create certificate signing request");
    }
    return submitted(await adopt(store, request, request.name.fixed, requestPem, clock, signal), true);
  }
}

async function adopt(
  store: CsrStore,
  request: CertificateRequest,
  name: string,
  requestPem: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<CertificateSigningRequest> {
  const stored = await store.get(name, signal).catch((error: unknown) => {
    throw explain(error, "cannot retrieve certificate signing request");
  });
  if (stored === undefined) {
    throw new AppError(
      "csr_deleted",
      `cannot retrieve certificate signing request: "${name}" was deleted in the meantime`,
      { retryable: true, hint: "run the command again" },
    );
  }
  const own = { requestPem, signerName: request.signerName, publicKeyDer: request.key.publicKeyDer() };
  const same: Result<true, string> = request.isExact === true
    ? checkSame(stored, buildCsr(request, requestPem))
    : ok(true);
  const compatible = same.ok ? checkCompatible(stored, own, clock.now()) : same;
  if (compatible.ok) return stored;
  throw new AppError("csr_incompatible", `retrieved csr is not compatible: ${compatible.error}`, {
    hint: `delete it, then run the command again: tlsboot delete csr ${shellWord(name)}`,
  });
}

/** The object that is sent for a request. */
export function buildCsr(
  request: CertificateRequest,
  requestPem: string = encodeRequestPem(request),
): CertificateSigningRequest {
  return {
    apiVersion: formatApiVersion(kind),
    kind: kind.kind,
    metadata: "fixed" in request.name ? { name: request.name.fixed } : { generateName: request.name.prefix },
    spec: {
      request: encodeBase64(new TextEncoder().encode(requestPem)),
      signerName: request.signerName,
      ...(request.expirationSeconds === undefined ? {} : { expirationSeconds: request.expirationSeconds }),
      usages: request.usages,
    },
    status: {},
  };
}

function encodeRequestPem(request: CertificateRequest): string {
  return encodePem("CERTIFICATE REQUEST", createCertificationRequest(request, request.key));
}

function submitted(csr: CertificateSigningRequest, adopted: boolean): SubmittedRequest {
  return { name: csr.metadata.name ?? "", uid: csr.metadata.uid ?? "", adopted };
}

/** The same error with what was being done in front, and the next thing to do behind. */
export function explain(error: unknown, doing: string): unknown {
  if (!(error instanceof AppError)) return error;
  const hint = error.hint ?? HINTS[error.code];
  return new AppError(error.code, `${doing}: ${messageOf(error)}`, {
    cause: error,
    retryable: error.retryable,
    ...(hint === undefined ? {} : { hint }),
  });
}

const HINTS: Readonly<Partial<Record<AppError["code"], string>>> = {
  unauthorized: "the token is wrong or has expired; make another with: tlsboot token create",
  access_denied: "bind the user's group to the cluster role system:node-bootstrapper",
  not_found: "check that the server is a Kubernetes API with certificates.k8s.io/v1",
};
