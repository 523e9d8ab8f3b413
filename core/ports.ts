/**
 * The ports: everything the core and its shells need from outside, small and named after the need. Adapters live in
 * server, client and cli; `cli/instance` puts them together.
 */
import type { SubjectAccessReviewSpec } from "./kube/authorization_v1.ts";
import type { CertificateSigningRequest } from "./kube/certificates_v1.ts";
import type { Lease } from "./kube/coordination_v1.ts";
import type { KubeObject } from "./kube/meta.ts";

/**
 * Time and waiting, of two kinds: the wall clock, which people and NTP set forward and back, for what is written down
 * (validity, expiry, timestamps); and elapsed time, which only passes, for durations (pauses, limits, rates).
 */
export interface Clock {
  now(): Date;
  /** Resolves at the deadline (wall clock, also after the machine slept); rejects with `signal.reason`. */
  sleepUntil(deadline: Date, signal: AbortSignal): Promise<void>;
  /** Milliseconds since some moment in the past, however the wall clock is set. */
  elapsedMs(): number;
  /** Resolves after a duration, however the wall clock is set meanwhile; rejects with `signal.reason`. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Randomness. */
export interface Random {
  /** Cryptographically strong bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer>;
  /** Uniform in [0, 1), for jitter. */
  float(): number;
}

/** Fields of a log line. Never keys, tokens or authorization headers. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Structured log: a constant message, variables as fields. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to every line. */
  with(fields: LogFields): Logger;
}

/** One HTTP request to a Kubernetes API. */
export interface TransportRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD";
  /** Path and query, such as `/apis/certificates.k8s.io/v1/certificatesigningrequests?limit=500`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
}

/** The answer; the body streams, so that a watch can be read. */
export interface TransportResponse {
  readonly status: number;
  /** Names lower-case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
}

/** A way to a Kubernetes API: over TLS to a distant one, or in process to our own. */
export interface Transport {
  /** Throws AppError `unreachable` (retryable), `tls_untrusted`, or `signal.reason`. */
  send(request: TransportRequest, signal: AbortSignal): Promise<TransportResponse>;
}

/** A change seen by `ObjectStore.changes`. */
export type Change<T> =
  | { readonly kind: "changed"; readonly object: T }
  | { readonly kind: "deleted"; readonly object: T }
  /** Every object that existed at the start has been delivered; comes once per (re)connection. */
  | { readonly kind: "synced" };

/** What a deletion depends on, and what becomes of the dependents of the object. */
export interface DeletionOptions {
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
}

/**
 * Objects of one kind (in one namespace, or cluster-scoped) at some Kubernetes API, near or far. Errors: AppError
 * `not_found`, `conflict`, `already_exists`, `access_denied`, `unauthorized`, `invalid`, `api_error`, `unreachable`.
 */
export interface ObjectStore<T extends KubeObject> {
  /** Undefined when there is none of that name. */
  get(name: string, signal: AbortSignal): Promise<T | undefined>;
  list(signal: AbortSignal): Promise<readonly T[]>;
  create(object: T, signal: AbortSignal): Promise<T>;
  /** Guarded by `metadata.resourceVersion`: AppError `conflict` when somebody else wrote in between. */
  update(object: T, signal: AbortSignal, subresource?: string): Promise<T>;
  /**
   * With `uid` only that very object is deleted, with `resourceVersion` only that very state of it: AppError `conflict`
   * otherwise. A missing object is AppError `not_found`.
   */
  delete(name: string, signal: AbortSignal, options?: DeletionOptions): Promise<void>;
  /**
   * Every existing object, then `synced`, then each change. Reconnects by itself (deletions missed meanwhile are
   * delivered after the next list); ends only by the signal, rejecting with its reason.
   */
  changes(signal: AbortSignal): AsyncIterable<Change<T>>;
}

/** What signer, approver and cleaner see of the world. */
export type CsrStore = ObjectStore<CertificateSigningRequest>;

/** Leader election sees leases. */
export type LeaseStore = ObjectStore<Lease>;

/** Asks the API whether a subject may do something (SubjectAccessReview). */
export interface AccessReviewer {
  isAllowed(spec: SubjectAccessReviewSpec, signal: AbortSignal): Promise<boolean>;
}

/** The private half of a CA. An encrypted file, a helper program or an HSM can stand behind it. */
export interface CaKey {
  /** DER SubjectPublicKeyInfo. */
  publicKey(): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * The signature over `data` (hashed by the implementation according to `algorithm`): ECDSA in ASN.1 DER form,
   * RSA in PKCS#1 v1.5, Ed25519 raw.
   */
  sign(data: Uint8Array<ArrayBuffer>, algorithm: SignatureAlgorithm): Promise<Uint8Array<ArrayBuffer>>;
}

/** The signature algorithms a CA uses, chosen by its key (Go `x509.CreateCertificate`). */
export type SignatureAlgorithm =
  | "SHA256-RSA"
  | "ECDSA-SHA256"
  | "ECDSA-SHA384"
  | "ECDSA-SHA512"
  | "Ed25519";
